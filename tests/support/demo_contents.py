"""What `serve --demo` fills a shop with."""

from services.demo import ACCOUNTS
from services.demo_data import ARTICLES, ORDERS, PEOPLE

EMAILS = sorted({account.email for account in ACCOUNTS} | {person.email for person in PEOPLE})
# As commands print it.
CONTENTS = f"{len(EMAILS)} users, {len(ARTICLES)} products, {len(ORDERS)} orders"
