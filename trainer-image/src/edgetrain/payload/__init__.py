"""How vectors of numbers are packed for a link: one file for each way, numpy alone.

What is packed number by number is a `Codec`. Low rank is linear instead: its factors are summed as they are.
"""
