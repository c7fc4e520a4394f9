"""The client of OpenAI-compatible endpoints: an address, one bounded POST, a message's parts, what a reply says."""
