"""Sound that a caller hears (prompts, speech, tones) and sound that is kept (voicemails, recorded talks).

`prompts` turns a sound key into a file Asterisk can play; `library` keeps recordings; `audio`, `wav` and
`decode` know about samples, headers and foreign formats; `speech` makes words audible. Nothing here knows a
call or a flow.
"""
