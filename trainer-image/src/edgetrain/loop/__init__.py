"""The program's own loop, as the session sees it: where its batches come from, and what it does with them."""
