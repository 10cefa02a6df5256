"""Trains small DeepSeek-V3.2-class models on seedbed's exports, in plain PyTorch; reads and writes the engine's checkpoints."""

__version__ = "1"
