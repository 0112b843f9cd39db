"""A web page on which visitors use a trained model: `gan-lightning demo MODEL`.

`studio`, `retouch`, `settings` and `history` make the pictures and need no web framework; `page` and what it imports
need Gradio, the extra `demo`.
"""

from gan_lightning.demo.history import History
from gan_lightning.demo.retouch import Retouch
from gan_lightning.demo.settings import Settings
from gan_lightning.demo.studio import Studio

__all__ = ["History", "Retouch", "Settings", "Studio"]
