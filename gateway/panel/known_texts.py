"""Texts of other packages that pages show: here the catalogues find them."""

from collections.abc import Mapping
from typing import Final

from gateway.panel.languages import N_

ROLES: Final = (N_("Operator"), N_("Owner"), N_("Agent"), N_("Viewer"))
TEXTS: Final = (
    N_("A phone is linked: log it out before another one can be linked"),
    N_("No linking waits to be confirmed"),
    N_("Only a simulated phone scans by itself"),
    N_("Send one file at a time"),
    N_("The code is wrong: nothing was changed"),
    N_("The connection broke before the answer came."),
    N_("The current password is wrong"),
    N_("The form cannot be read"),
    N_("The form is damaged: open the page again"),
    N_("The name that you typed is another one: nothing was changed"),
    N_("The secret is damaged: open the page again"),
    N_("There is no account yet: make one with `gateway accounts create`"),
    N_("There is no number yet"),
    N_("There is no such account"),
    N_("There is no such session"),
    N_("An operator has no account: create another user instead."),
    N_("The user is disabled: allow to sign in first"),
    N_("This is not a phone number with its country code"),
    N_("This link is for another number"),
    N_("must be a file extension such as pdf"),
    N_("You are not connected."),
)
"""Whole texts, which have no value in them."""
SENTENCES: Final[Mapping[str, str]] = {
    r"Queue limit of (?P<limit>\d+) messages reached.*": N_(
        "The queue is full: it holds at most %(limit)s messages."
    ),
    r"Too many [\w-]+ for this \w+": N_("Too many requests. Wait a moment, then try again."),
    r"The files of this account take .+": N_(
        "There is no space left for files: wait until older ones expire, or ask the operator."
    ),
    r"(The body|Without its files the body) is larger than .+": N_(
        "What you sent is larger than allowed."
    ),
    r"\w+ is not supported by the \w+ provider.*": N_("This kind of connection cannot do that."),
    r"(This needs the scope|This belongs to another account|Only( an)? operators?).*": N_(
        "Your role may not do this. Ask the owner of the account."
    ),
    r"To continue sending a message, you must subscribe .+": N_(
        "Messages are refused until the number is subscribed."
    ),
    # Messages of the queue
    r"The message is .+ and no longer waits": N_("The message no longer waits in the queue."),
    r"The message is .+: there is nothing to retry": N_(
        "The message did not fail: there is nothing to send again."
    ),
    r"The message is .+ and cannot be moved": N_("The message can no longer be moved."),
    r"The message is .+": N_("The message is in another state by now: open it again."),
    r"Message not found.*": N_("This message is no longer there."),
    r"phone: this person has opted out.*": N_("This person wants no more messages from you."),
    # Numbers, accounts, users and webhooks
    r"The account has \d+ of at most (?P<limit>\d+) instances.+": N_(
        "The account has %(limit)s numbers, and may have no more: delete one, or ask the operator."
    ),
    r"Instance \S+ is still being deleted.*": N_(
        "The number is still being deleted: try again in a minute."
    ),
    r"There is an account (?P<name>.+) already, .+": N_("There is an account %(name)s already."),
    r"There is a user (?P<email>.+) already": N_("There is a user %(email)s already."),
    r"An account has (?P<count>\d+) API keys at most.*": N_(
        "An account has at most %(count)s API keys: revoke one first."
    ),
    r"An instance has (?P<count>\d+) further webhooks at most": N_(
        "A number has at most %(count)s further webhooks."
    ),
    r"No webhook is set for \w+": N_("No webhook is set for this."),
    r"The event is .+: only pending and failed events can be changed": N_(
        "It was posted again or discarded already."
    ),
    r"This instance has no (open )?link": N_("There is no open link."),
    r"Idempotency-Key was already used .+": N_(
        "This form was sent already, with another text: open the page again."
    ),
    r"Invalid phone": N_("This is not a phone number with its country code"),
    r"This link is not known": N_("This link does not exist, or a newer one replaced it."),
    r"There is no user .+": N_("There is no such user"),
    r"The account was deleted": N_("There is no such account"),
    r"role: an operator has no account: create another user instead": N_(
        "An operator has no account: create another user instead."
    ),
    r"role: an operator has no account, every other role has one.*": N_(
        "An operator has no account; every other role needs one."
    ),
    r"(API key|Broadcast list|Callback|Event|Instance|Webhook) not found": N_(
        "It is no longer there."
    ),
    r"There is no such webhook": N_("It is no longer there."),
    r"pagingState: must be the value that the page before returned": N_(
        "This part of the list is no longer there: begin with its first page."
    ),
    # Files that a form sends
    r"The file is an empty file": N_("The file is empty."),
    r"The file is larger than (?P<limit>[\d.]+ \w+)": N_("The file is larger than %(limit)s."),
    # Attempts to send
    r"unconfirmed: (?P<reason>.+)": N_("Perhaps it was sent: %(reason)s"),
    r"[Nn]o answer within (?P<seconds>[\d.]+) seconds": N_("no answer within %(seconds)s seconds"),
    r"WhatsApp did not answer within (?P<seconds>[\d.]+) seconds\.": N_(
        "no answer within %(seconds)s seconds"
    ),
    r"the gateway stopped before WhatsApp's answer came": N_(
        "the gateway stopped before WhatsApp's answer came"
    ),
    r"the connection broke before the answer came": N_(
        "the connection broke before the answer came"
    ),
    r"WhatsApp's answer was lost\.": N_("the connection broke before the answer came"),
    r"the number \S*\s?is not on WhatsApp": N_("the number is not on WhatsApp"),
    r"the message has a form that WhatsApp does not know": N_(
        "WhatsApp does not know this form of message"
    ),
    r"the file of the message is gone": N_("the file of the message is gone"),
    r"message \w+ is not known on this instance": N_("this number does not know the message"),
    r"(the message )?expired.*": N_("it expired before it was sent"),
    r"WhatsApp is busy\.": N_("WhatsApp is busy."),
    r"WhatsApp refused(?: the message)?: (?P<text>.+)": N_("WhatsApp refused it: %(text)s"),
    r"WhatsApp refused the message\.": N_("WhatsApp refused the message."),
    r"WhatsApp restricts the number\.": N_("WhatsApp limits this number for a while"),
    r"The phone is linked, but WhatsApp is out of reach\.": N_("WhatsApp is out of reach"),
    r"The phone lost its network\.": N_("The phone has no internet."),
    # Fetching files and posting callbacks
    r"cannot be fetched: (?P<reason>.+)": N_("it cannot be fetched: %(reason)s"),
    r"its server answered (?P<status>\d+)": N_("its server answered %(status)s"),
    r"its server did not deliver it within (?P<seconds>[\d.]+) seconds": N_(
        "no answer within %(seconds)s seconds"
    ),
    r"the receiver does not answer": N_("the server does not answer"),
    r"(the|its) server did not answer.*": N_("the server does not answer"),
    r"(the|its) server refused the connection": N_("the server refused the connection"),
    r"(the|its) server closed the connection.*": N_("the server closed the connection"),
    r"(the|its) server cannot be reached: its name is unknown": N_(
        "the name of the server is unknown"
    ),
    r"(the|its) server cannot be reached: there is no route to it": N_(
        "there is no route to the server"
    ),
    r"(the|its) server cannot be reached: it does not speak TLS as required": N_(
        "the server does not speak TLS as required"
    ),
    r"(the|its) server cannot be reached: its certificate .+": N_(
        "the certificate of the server is not valid"
    ),
    r"the address (?P<reason>.+)": N_("the address %(reason)s"),
    r"(?P<reason>.+): the operator of this gateway can allow it in GATEWAY_PROXY_NETWORKS": N_(
        "%(reason)s. The operator of the gateway can allow it."
    ),
    # Proxies
    r"WhatsApp cannot be reached through this proxy": N_("WhatsApp is out of reach"),
    r"the server there does not answer like a proxy of this kind": N_(
        "the server there is no proxy of this kind"
    ),
    r"the proxy does not accept the user name and password": N_(
        "the proxy does not accept the user name and password"
    ),
    r"the proxy asks for a login that is not in its URL": N_(
        "the proxy asks for a user name and password"
    ),
    r"the proxy does not open a tunnel to WhatsApp: (?P<reason>.+)": N_(
        "the proxy does not open a way to WhatsApp: %(reason)s"
    ),
    # What a field must be
    r"is required|is needed while no proxy is set": N_("is required"),
    r"has a value that cannot be read|must be (a text|a list|an object|true or false)": N_(
        "has a value that cannot be read"
    ),
    r"must be a (whole |smaller )?number( of seconds)?": N_("must be a number"),
    r"must be an id such as .+": N_("must be an ID"),
    r"the account has no instance with this id or name": N_("is no number of this account"),
    r"must be at least (?P<least>[\d.]+)": N_("must be at least %(least)s"),
    r"must be at most (?P<most>[\d.]+)": N_("must be at most %(most)s"),
    r"must be (greater|more) than (?P<least>[\d.]+)": N_("must be more than %(least)s"),
    r"must be (less) than (?P<most>[\d.]+)": N_("must be less than %(most)s"),
    r"must (be|have) at most (?P<most>\d+) (printable )?(characters|bytes)(, not \d+)?": N_(
        "must have at most %(most)s characters"
    ),
    r"must (be|have) at least (?P<least>\d+) (printable )?characters(, not \d+)?": N_(
        "must have at least %(least)s characters"
    ),
    r"must (be|have) (?P<least>\d+) to (?P<most>\d+) (printable |visible )?characters.*": N_(
        "must have %(least)s to %(most)s characters"
    ),
    r"must look like http://.+": N_("must look like http://proxy.example.com:8080"),
    r"must have at most (?P<most>\d+) items(, not \d+)?": N_("must have at most %(most)s entries"),
    r"must not be empty(; leave it out .+)?": N_("must not be empty"),
    r"must be given with the other end of the pace": N_("give both pauses"),
    r"must be in the future": N_("must be in the future"),
    r"must be (later than|before) `?(from|to)`?": N_("must end after it begins"),
    r"must (be a time|name its offset).+": N_("must be a date and a time"),
    r"must be (one of )?(?P<names>[\w.]+(, [\w.]+)*( or [\w.]+)?)": N_("must be one of %(names)s"),
    r"must be of the form name@example\.com": N_("must look like name@example.com"),
    r"must be a phone, such as 5511999999999.*": N_("must be a phone number with its country code"),
    r"is not a URL": N_("is not an address such as https://example.com"),
    r"must begin with https://": N_("must begin with https://"),
    r"must not hold a user name or password": N_("must not have a user name or password in it"),
    r"leads to an address that is not public.*": N_("leads to an address that is not public"),
    r"(is larger than|must be a file of at most) (?P<limit>[\d.]+ \w+)": N_(
        "is larger than %(limit)s"
    ),
    r"is an empty file": N_("is empty"),
    r"is too long for a text; shorten it": N_("is too long: make it shorter"),
}
"""Texts with values, as regular expressions, and what the panel says instead.

The group `reason` is such a text itself. After the name of a field and a colon the text is what
the field must be.
"""
FIELDS: Final[Mapping[str, str]] = {
    "callRejectMessage": N_("Text for a caller whose call was rejected"),
    "caption": N_("Text"),
    "current": N_("Current password"),
    "dailyLimit": N_("Messages per day"),
    "e-mail": N_("E-mail"),
    "email": N_("E-mail"),
    "expiresAt": N_("Ends"),
    "from": N_("From"),
    "message": N_("Message"),
    "messagesPerMinute": N_("Messages per minute, at most"),
    "name": N_("Name"),
    "networks": N_("Only from these addresses"),
    "new": N_("New password"),
    "number": N_("Number"),
    "paceMaxSeconds": N_("Longest pause (seconds)"),
    "paceMinSeconds": N_("Shortest pause (seconds)"),
    "password": N_("Password"),
    "phone": N_("Phone number"),
    "proxyUrl": N_("Address"),
    "scopes": N_("What may it do?"),
    "url": N_("Address"),
    "warmUpDays": N_("Warm-up (days)"),
}
"""Names of fields in requests, and what the panel calls them."""
