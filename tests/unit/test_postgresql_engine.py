"""PostgreSQL: reads, values, connections, what goes over the wire, and what the server's errors mean."""
