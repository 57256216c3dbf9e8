"""Application Load Balancers: rules, events and answers."""
