"""The use cases: each module is one verb, given what it needs when it is made."""
