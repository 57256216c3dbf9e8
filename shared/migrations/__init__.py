"""What the tables are: numbered scripts for each engine, and what applies and checks them."""
