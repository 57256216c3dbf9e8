"""The events of functions: routes, schedules, URLs, load balancers, and the authorizers and CORS settings of routes."""
