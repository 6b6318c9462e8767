"""Races: who can still be the best, judged cell by cell until one model is certified.

`race` is one real decision, asked and told; `lockstep` plays rules by whole queries, `audit` tests
challengers alone against one champion.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
