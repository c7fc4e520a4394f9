"""JanusFlow: answers as Janus does, draws by rectified flow (arXiv 2411.07975)."""
