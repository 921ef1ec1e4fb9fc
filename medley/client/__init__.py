"""The Python client: follow a shape, keep a copy of it, publish a job."""

from medley.client.http import ShapeRefused, follow
from medley.client.materialise import Copy

__all__ = ["Copy", "ShapeRefused", "follow"]
