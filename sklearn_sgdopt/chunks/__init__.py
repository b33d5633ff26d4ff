"""Sources of chunks for data larger than memory: Parquet files, memory maps and the like.

A source can be iterated again and again, and gives ``(X, y)`` or ``(X, y, sample_weight)`` each time.
"""

from sklearn_sgdopt.chunks._arrays import ArrayChunks
from sklearn_sgdopt.chunks._parquet import ParquetChunks

__all__ = ["ArrayChunks", "ParquetChunks"]
