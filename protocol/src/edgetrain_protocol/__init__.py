"""The documents that operator and trainer exchange: the job, its status, the plan and the report."""
