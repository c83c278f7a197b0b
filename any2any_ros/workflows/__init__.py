"""Whole tasks from a recording to a result on disk: what the command's verbs and Python users both call.

A function here prints nothing, and wraps its loops in `progress` (progress.py). Wrong input is an Any2AnyError.
"""
