"""PostgreSQL and the engines that speak its protocol."""
