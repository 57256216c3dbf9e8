"""Who may call a route: Lambda, JWT, Cognito and IAM authorizers, and what the function learns of the caller."""
