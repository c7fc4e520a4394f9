"""The client of OpenAI-compatible endpoints: an address, one bounded request, a message's parts, what a reply
says, and drawings that are paid for."""
