"""What a job comes to by the runtime that it names."""
