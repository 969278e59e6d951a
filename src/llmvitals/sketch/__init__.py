"""What is added up: every sketch obeys the merge law (associative, commutative, with an identity)."""
