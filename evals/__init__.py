"""Agents tested like code: simulated callers over the telephone, and a verdict for each scenario.

`scenario` reads what is wanted, `brains` and `livecaller` are the person on the line, `checks` and `validity` judge a run, and `runner`
places the calls.  Imports the ground floors alone: `cli.evaluate` starts the platform that it calls.
"""
