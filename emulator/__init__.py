"""A local gateway for serverless Python functions: what AWS API Gateway and Lambda do, on one machine."""
