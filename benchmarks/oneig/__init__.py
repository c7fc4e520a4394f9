"""OneIG-Bench: does a picture show what its prompt asks for, and is the text in it the one that was asked for?"""
