"""The numbers of WhatsApp's limits, each once, with the source that states it.

They hold for every provider: they are WhatsApp's, not a library's. Only what WhatsApp or its app
refuses is a limit; what a phone shows shortened is none. Where sources differ, the larger number
counts. WhatsApp publishes no list of the limits of its app. Characters are Unicode code points.

Sources:
- app: what the input fields of WhatsApp's own app take, as observed and widely reported.
- Meta: the reference of interactive messages of Meta's Cloud API.
- Ze: the reference of Ze da API, which speaks Z-API's contract over WhatsApp Web.
"""

from typing import Final

MAX_TEXT_LENGTH: Final = 65_536
"""A text, or a caption (app)."""

MAX_STATUS_TEXT_LENGTH: Final = 700
"""A text status (app)."""

MAX_BODY_LENGTH: Final = 1_024
"""The text above buttons or cards, and the text of a card (Meta, Ze)."""

MAX_LIST_BODY_LENGTH: Final = 4_096
"""The text above an option list (Meta; Ze has 1,024)."""

MAX_HEADING_LENGTH: Final = 60
"""The title or footer of a message with buttons, and the title of a list (Meta, Ze)."""

MAX_BUTTONS: Final = 3
"""Buttons of a message (Meta, Ze)."""

MAX_BUTTON_LABEL_LENGTH: Final = 25
"""The label of a button (Ze; Meta has 20 for replies)."""

MAX_CARDS: Final = 10
"""Cards of a carousel (Meta, Ze)."""

MAX_CARD_BUTTONS: Final = 2
"""Buttons of a card (Meta, Ze)."""

MAX_LIST_ROWS: Final = 10
"""Rows of an option list, over all its sections (Meta, Ze)."""

MAX_LIST_BUTTON_LENGTH: Final = 20
"""The label of the button that opens a list (Meta, Ze)."""

MAX_ROW_TITLE_LENGTH: Final = 24
"""The title of a row (Meta, Ze)."""

MAX_ROW_DESCRIPTION_LENGTH: Final = 72
"""The description of a row (Meta, Ze)."""

MAX_CODE_LENGTH: Final = 20
"""A code that a button copies (Ze; Meta has 15)."""

MIN_POLL_OPTIONS: Final = 2
MAX_POLL_OPTIONS: Final = 12
"""Options of a poll (app)."""

MAX_POLL_QUESTION_LENGTH: Final = 255
"""The question of a poll (app)."""

MAX_POLL_OPTION_LENGTH: Final = 100
"""An option of a poll (app)."""

MAX_EVENT_NAME_LENGTH: Final = 100
"""The name of an event (app)."""

MAX_EVENT_DESCRIPTION_LENGTH: Final = 2_048
"""The description of an event (app)."""

MAX_CONTACTS: Final = 257
"""Contact cards of a message (app)."""

MAX_GROUP_MEMBERS: Final = 1_024
"""Members of a group, and so the people and groups that a text mentions (app)."""

MAX_GROUP_SUBJECT_LENGTH: Final = 100
"""The name of a group, community or channel (app)."""

MAX_GROUP_DESCRIPTION_LENGTH: Final = 2_048
"""The description of a group, community or channel (app)."""

MAX_PROFILE_NAME_LENGTH: Final = 25
"""The name of a profile (app, Ze)."""

MAX_ABOUT_LENGTH: Final = 139
"""The about text of a profile (app, Ze)."""
