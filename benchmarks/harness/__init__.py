"""How fast networks are on this machine, alone and beside others.

`workers` imports nothing heavy, so that the process of a contender holds that contender's libraries alone.
"""
