"""The `any2any` command, one file a verb: a page of arguments around a library call.

Nothing outside this folder imports from it. What the verbs call is in workflows/, nodes/, sim/ and demo/.
"""
