"""One group each: who is in, who leads it, how it sums, whether it goes on."""
