"""State on its way from a member that has it to one that has not."""
