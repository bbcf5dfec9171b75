"""The people of the sample organisation and those who write to them. Every domain is one that RFC 2606 reserves."""

from dataclasses import dataclass
from enum import StrEnum

DOMAIN = "contoso.example"


class Standing(StrEnum):
    """How a mailbox stands with Sidesync."""

    READY = "ready"
    INACTIVE = "inactive"
    WITHOUT_PROFILE = "without a profile"
    NOT_APPROVED = "not approved"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the organisation, who has a mailbox."""

    name: str
    address: str
    standing: Standing = Standing.READY


@dataclass(frozen=True, slots=True)
class Correspondent:
    """Somebody outside."""

    name: str
    address: str
    language: str


ANNA = Person("Anna Bergström", f"anna@{DOMAIN}")
BRUNO = Person("Bruno Keller", f"bruno@{DOMAIN}")
CHLOE = Person("Chloé Martin", f"chloe@{DOMAIN}")
DAVID = Person("David O'Neill", f"david@{DOMAIN}")
EMIL = Person("Emil Novák", f"emil@{DOMAIN}")
FRIEDA = Person("Frieda Holm", f"frieda@{DOMAIN}", Standing.INACTIVE)
GUSTAV = Person("Gustav Lind", f"gustav@{DOMAIN}", Standing.WITHOUT_PROFILE)
HANNA = Person("Hanna Virtanen", f"hanna@{DOMAIN}", Standing.NOT_APPROVED)

PEOPLE = (ANNA, BRUNO, CHLOE, DAVID, EMIL, FRIEDA, GUSTAV, HANNA)
READY = tuple(person for person in PEOPLE if person.standing is Standing.READY)
WAITING = tuple(person for person in PEOPLE if person.standing is not Standing.READY)

CORRESPONDENTS = (
    Correspondent("Nancy Anderson", "nancy.anderson@northwind.example", "en"),
    Correspondent("Peter Houston", "peter.houston@northwind.example", "en"),
    Correspondent("Jürgen Weiß", "juergen.weiss@weissundsohn.example", "de"),
    Correspondent("Käthe Müller", "kaethe.mueller@weissundsohn.example", "de"),
    Correspondent("Élodie Lefèvre", "elodie@atelier-lefevre.example", "fr"),
    Correspondent("Rémi Gauthier", "remi@atelier-lefevre.example", "fr"),
    Correspondent("田中 美咲", "misaki.tanaka@tanaka-seiki.example", "ja"),
    Correspondent("Иван Петров", "ivan.petrov@petrov-stroy.example", "ru"),
    Correspondent("Smith, John (Sales)", "john.smith@fabrikam.example", "en"),
    Correspondent("", "orders@fabrikam.example", "en"),
)
