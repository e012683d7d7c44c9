"""What does each client mean: what should Identity Center hold after which step of its dialogue?

Written from what the client wants, not from what the bridge does. For each dialogue the steps that
mean a change, in their order, and what changes; a step that is not named means none. People and
groups stand under the name they came with, whatever they are called later, since a rename keeps the
principal and with it what was granted to it. None takes a value away.

What Identity Center is like is part of it: it holds one phone number and one address of a person;
who is inactive is in no group there, although SCIM clients still see the membership; a deleted
person is a disabled one; a deleted group is one without members; and what else is changed of
somebody who is inactive waits there until they return.
"""

from typing import Any

# By name of a person or group, the values that change.
Change = dict[str, dict[str, Any]]
Meant = list[tuple[str, Change]]

GONE = {"active": False}
# Somebody is taken out who is out already.
STAYS_AWAY: Change = {}


def person(name: str, given: str, family: str, **values: Any) -> dict[str, Any]:
    """Somebody new, whose address is the user name and who can sign in unless it is said."""
    return {
        "userName": name,
        "displayName": f"{given} {family}",
        "givenName": given,
        "familyName": family,
        "email": name,
        "active": True,
        **values,
    }


def group(name: str, *members: str) -> dict[str, Any]:
    return {"displayName": name, "members": [*members]}


def members(*names: str) -> dict[str, Any]:
    """Who is in a group at Identity Center from now on."""
    return {"members": [*names]}


SOLVEIG = "solveig.rantala.${run}@harbourline.example"
INES, INES_LINDQVIST = (
    "ines.okafor.${run}@harbourline.example",
    "ines.lindqvist.${run}@harbourline.example",
)
TIDE = "Tide Desk ${run}"

ENTRA_DEFAULT: Meant = [
    (
        "create the manager",
        {SOLVEIG: person(SOLVEIG, "Solveig", "Rantala", title="Head of Harbour Systems")},
    ),
    (
        "create a report with enterprise attributes",
        {INES: person(INES, "Ines", "Okafor", department="Tides", employeeNumber="E-4471")},
    ),
    (
        "update: one Replace per attribute",
        {
            INES: {
                "displayName": "Ines Okafor-Lindqvist",
                "familyName": "Okafor-Lindqvist",
                "email": INES_LINDQVIST,
                "employeeNumber": "E-4472",
            }
        },
    ),
    (
        "update: Add sub-attributes of entries that do not exist yet",
        {
            INES: {
                "title": "Tide Analyst",
                "phone": "+47 400 55 123",
                "streetAddress": "Quay 7",
                "postalCode": "5003",
            }
        },
    ),
    # A second number, beside the mobile one, for which Identity Center has no place.
    ("update: Replace on an entry that does not exist yet", {}),
    ("update: the manager as a bare string", {INES: {"manager": SOLVEIG}}),
    (
        "on demand, from the same tenant: the other style",
        {INES: {"nickName": "Ines", "givenName": "Inês"}},
    ),
    ("create the group, empty", {TIDE: group(TIDE)}),
    ("add two members in one operation", {TIDE: members(INES, SOLVEIG)}),
    ("remove one member: a value list beside the path", {TIDE: members(INES)}),
    ("rename the group", {TIDE: {"displayName": "Tide Office ${run}"}}),
    ("disable: the string False", {INES: GONE, TIDE: members()}),
    # Entra does not send the membership again.
    ("enable again: the string True", {INES: {"active": True}, TIDE: members(INES)}),
    ("the user principal name changes", {INES: {"userName": INES_LINDQVIST}}),
    ("clear an attribute", {INES: {"title": None}}),
    # The second one: the mobile number stays.
    ("clear a number by its type", {}),
    ("clear the manager with an empty string", {INES: {"manager": None}}),
    ("hard delete (30 days after the soft delete)", {INES: GONE, TIDE: members()}),
    ("delete the manager", {SOLVEIG: GONE}),
]

TOMASZ = "tomasz.verhoeven.${run}@harbourline.example"
ADAEZE = "adaeze.bright.${run}@harbourline.example"
CHARTS = "Chart Room ${run}"

ENTRA_AADOPTSCIM062020: Meant = [
    ("create the user", {TOMASZ: person(TOMASZ, "Tomasz", "Verhoeven")}),
    ("create the manager", {ADAEZE: person(ADAEZE, "Adaeze", "Bright")}),
    (
        "update: a pathless replace with dotted and URN keys",
        {
            TOMASZ: {
                "displayName": "Tom Verhoeven",
                "givenName": "Tom",
                "familyName": "Verhoeven-Mbeki",
                "email": "tom.verhoeven.${run}@harbourline.example",
                "employeeNumber": "77120",
            }
        },
    ),
    (
        "add several attributes, pathless",
        {
            TOMASZ: {
                "country": "NL",
                "nickName": "Tom",
                "title": "Cartographer",
                "department": "Charts",
            }
        },
    ),
    ("the manager, still a bare string", {TOMASZ: {"manager": ADAEZE}}),
    ("create the group", {CHARTS: group(CHARTS)}),
    ("add members", {CHARTS: members(TOMASZ, ADAEZE)}),
    ("remove a member by filter path", {CHARTS: members(TOMASZ)}),
    ("rename, pathless", {CHARTS: {"displayName": "Chart Loft ${run}"}}),
    ("disable with a real boolean", {TOMASZ: GONE, CHARTS: members()}),
    ("enable, pathless", {TOMASZ: {"active": True}, CHARTS: members(TOMASZ)}),
    (
        "a phone that was not there is replaced, a name removed",
        {TOMASZ: {"phone": "+31 6 1200 3400", "nickName": None}},
    ),
    ("clear the manager", {TOMASZ: {"manager": None}}),
    ("delete the user", {TOMASZ: GONE, CHARTS: members()}),
    ("delete the manager", {ADAEZE: GONE}),
]

ROSA, KWAME = "rosa.lindgren.${run}@harbourline.example", "kwame.sato.${run}@harbourline.example"
DARA_LIND, DARA_LUND = "draft.${run}@harbourline.example", "draft2.${run}@harbourline.example"
NOR = "noschemas.${run}@harbourline.example"
FERRY = "Ferry Crew ${run}"

ENTRA_OLDER_SHAPES: Meant = [
    (
        "create with the URIs of a draft",
        {DARA_LIND: person(DARA_LIND, "Dara", "Lind", email=None, department="Quay")},
    ),
    (
        "create with the URIs of a later draft",
        {DARA_LUND: person(DARA_LUND, "Dara", "Lund", email=None)},
    ),
    ("create with schemas that are null", {NOR: person(NOR, "Nor", "Lind", email=None)}),
    ("a name may have no case", {NOR: {"displayName": "Nora Lind"}}),
    (
        "an attribute of the extension with a dot for the colon",
        {NOR: {"department": "Quay"}},
    ),
    ("delete who came with a draft", {DARA_LIND: GONE}),
    ("delete who came with a later draft", {DARA_LUND: GONE}),
    ("delete who came without schemas", {NOR: GONE}),
    ("create the manager", {ROSA: person(ROSA, "Rosa", "Lindgren")}),
    (
        "create the user with a role and phones",
        {KWAME: person(KWAME, "Kwame", "Sato", phone="+81 3 5550 0100")},
    ),
    ("disable: list-wrapped string value", {KWAME: GONE}),
    ("enable: lower-case string", {KWAME: {"active": True}}),
    ("rename: list-wrapped value", {KWAME: {"displayName": "Kwame R. Sato"}}),
    ("manager: list-wrapped value with a reference", {KWAME: {"manager": ROSA}}),
    ("create the group", {FERRY: group(FERRY)}),
    ("add a member, pathless", {FERRY: members(KWAME)}),
    (
        "several operations on one attribute in order",
        {FERRY: {"displayName": "Ferry Crew North ${run}", **members(ROSA)}},
    ),
    ("op in capitals throughout", {KWAME: {"nickName": "Kwa"}}),
    ("a PATCH without schemas", {KWAME: GONE}),
    ("delete the user", STAYS_AWAY),
    ("delete the manager", {ROSA: GONE, FERRY: members()}),
]

LEILANI = "leilani.brouwer.${run}@sluiswerk.example"
LEILANI_KEALOHA = "leilani.kealoha.${run}@sluiswerk.example"

GOOGLE_WORKSPACE: Meant = [
    (
        "create",
        {
            LEILANI: person(
                LEILANI,
                "Leilani",
                "Brouwer",
                phone="+31 10 555 0000",
                streetAddress="Maaskade 1",
                postalCode="3071",
                locality="Rotterdam",
                country="NL",
            )
        },
    ),
    # It is the whole user: what is not in it is not so any more.
    (
        "update: the whole user",
        {
            LEILANI: {
                "displayName": "Leilani Brouwer-Kealoha",
                "familyName": "Brouwer-Kealoha",
                "phone": None,
                "streetAddress": None,
                "postalCode": None,
                "locality": None,
                "country": None,
            }
        },
    ),
    (
        "update: by PATCH",
        {LEILANI: {"displayName": "Leilani Kealoha", "familyName": "Kealoha"}},
    ),
    ("suspended in Google", {LEILANI: GONE}),
    ("restored", {LEILANI: {"active": True}}),
    (
        "main address renamed",
        {LEILANI: {"userName": LEILANI_KEALOHA, "email": LEILANI_KEALOHA}},
    ),
    ("deprovisioned after the grace period", {LEILANI: GONE}),
]

YUSRA, YUSRA_MAALEJ = (
    "yusra.dellacqua.${run}@northpier.example",
    "yusra.maalej.${run}@northpier.example",
)
BO = "bo.thiam.${run}@northpier.example"
PILOTS = "Harbour Pilots ${run}"

OKTA_AIW_PUT: Meant = [
    (
        "create, empty strings for what is not mapped",
        {YUSRA: person(YUSRA, "Yusra", "Dell'Acqua", department="Pilotage")},
    ),
    ("create the colleague", {BO: person(BO, "Bo", "Thiam")}),
    # The second address, at home, is not the primary one.
    ("profile push: PUT", {YUSRA: {"title": "Pilot", "manager": BO}}),
    ("profile push: empty strings for what is no longer mapped", {YUSRA: {"title": None}}),
    ("profile push: the values come back", {YUSRA: {"title": "Pilot"}}),
    (
        "login renamed by PUT",
        {
            YUSRA: {
                "userName": YUSRA_MAALEJ,
                "displayName": "Yusra Maâlej",
                "familyName": "Maâlej",
                "email": YUSRA_MAALEJ,
                "department": None,
                "manager": None,
            }
        },
    ),
    ("group push: create with members", {PILOTS: group(PILOTS, YUSRA)}),
    ("group push: membership by PUT", {PILOTS: members(YUSRA, BO)}),
    (
        "group push: rename and drop a member by PUT",
        {PILOTS: group("Pilots ${run}", BO)},
    ),
    ("deactivate by PUT", {YUSRA: GONE}),
    ("reactivate by PUT", {YUSRA: {"active": True, "title": None}}),
    ("deactivate: a one-element array as the value", {YUSRA: GONE}),
    ("delete the group", {PILOTS: members()}),
    ("clean up", STAYS_AWAY),
    ("clean up", {BO: GONE}),
]

ANNEKE, CHIDI, FREYA, HAMID, ILSE = (
    f"import{number}.${{run}}@northpier.example" for number in range(1, 6)
)
IMPORT = "Import ${run}"

OKTA_IMPORT: Meant = [
    ("prepare user 1", {ANNEKE: person(ANNEKE, "Anneke", "Brandt")}),
    ("prepare user 2", {CHIDI: person(CHIDI, "Chidi", "Salazar")}),
    ("prepare user 3", {FREYA: person(FREYA, "Freya", "Novák")}),
    ("prepare user 4", {HAMID: person(HAMID, "Hamid", "Lund")}),
    ("prepare user 5", {ILSE: person(ILSE, "Ilse", "Quispe")}),
    ("prepare the group", {IMPORT: group(IMPORT, ANNEKE, CHIDI)}),
    ("clean up the group", {IMPORT: members()}),
    ("clean up user 1", {ANNEKE: GONE}),
    ("clean up user 2", {CHIDI: GONE}),
    ("clean up user 3", {FREYA: GONE}),
    ("clean up user 4", {HAMID: GONE}),
    ("clean up user 5", {ILSE: GONE}),
]

MARIT = "marit.oyelaran.${run}@northpier.example"
DIMITRI = "dimitri.achterberg.${run}@northpier.example"
LIGHTHOUSE = "Lighthouse ${run}"

OKTA_OIN_PATCH: Meant = [
    ("create the user", {MARIT: person(MARIT, "Marit", "Oyelaran")}),
    ("create a second user", {DIMITRI: person(DIMITRI, "Dimitri", "Achterberg")}),
    (
        "profile push: the whole user by PUT",
        {MARIT: {"displayName": "Marit Elin Oyelaran", "middleName": "Elin"}},
    ),
    ("deactivate, pathless", {MARIT: GONE}),
    ("reactivate, pathless", {MARIT: {"active": True}}),
    ("group push: create", {LIGHTHOUSE: group(LIGHTHOUSE)}),
    ("group push: add a member", {LIGHTHOUSE: members(MARIT)}),
    ("group push: remove and add in one request", {LIGHTHOUSE: members(DIMITRI)}),
    ("group push: replace the whole membership", {LIGHTHOUSE: members(MARIT, DIMITRI)}),
    (
        "group push: a rename keeps the members",
        {LIGHTHOUSE: {"displayName": "Lighthouse Keepers ${run}"}},
    ),
    ("group push: replace with nobody", {LIGHTHOUSE: members()}),
    ("unassign: deactivate, never DELETE", {DIMITRI: GONE}),
    ("clean up (an administrator, not Okta)", {MARIT: GONE}),
    ("clean up (an administrator, not Okta)", STAYS_AWAY),
]

OSKAR, PAULA = "oskar.medina.${run}@moorings.example", "paula.achebe.${run}@moorings.example"
ANCHORS = "Anchors ${run}"

PINGFEDERATE: Meant = [
    (
        "create",
        {
            OSKAR: person(
                OSKAR,
                "Oskar",
                "Medina",
                department="Moorings",
                employeeNumber="9011",
                phone="+1 555 0100",
                locality="Boulder",
                region="CO",
                postalCode="80301",
                country="US",
            )
        },
    ),
    (
        "create a second, disabled from the start",
        {PAULA: person(PAULA, "Paula", "Achebe", active=False)},
    ),
    (
        "update: always PUT, never PATCH",
        {
            OSKAR: {
                "displayName": "Oskar J. Medina",
                "department": "Anchorage",
                "phone": None,
                "locality": None,
                "region": None,
                "postalCode": None,
                "country": None,
            }
        },
    ),
    ("create the group", {ANCHORS: group(ANCHORS)}),
    # Paula is a member for the client only, as long as she is disabled.
    ("membership: PATCH add", {ANCHORS: members(OSKAR)}),
    ("rename by PUT", {ANCHORS: {"displayName": "Anchor Watch ${run}"}}),
    ("remove user action: disable", {OSKAR: GONE, ANCHORS: members()}),
    (
        "back in scope: enabled",
        {
            OSKAR: {"active": True, "department": None, "employeeNumber": None},
            ANCHORS: members(OSKAR),
        },
    ),
    ("delete the group", {ANCHORS: members()}),
    ("remove user action: delete", {OSKAR: GONE}),
    ("remove user action: delete", STAYS_AWAY),
]

GRETA, SKERRIES = "greta.asante.${run}@skerry.example", "Skerries ${run}"

PINGONE: Meant = [
    ("create", {GRETA: person(GRETA, "Greta", "Asante")}),
    ("update", {GRETA: {"displayName": "Greta Asante Vik", "familyName": "Asante Vik"}}),
    ("group: create", {SKERRIES: group(SKERRIES)}),
    ("group: add", {SKERRIES: members(GRETA)}),
    ("group: remove", {SKERRIES: members()}),
    ("deprovision: disable", {GRETA: GONE}),
    ("deprovision: delete", STAYS_AWAY),
]

ANA, MBALI = "P${run}01", "P${run}02"
ESTALEIRO = "Estaleiro ${run}"

SAP_IDENTITY_PROVISIONING: Meant = [
    (
        "create from HR",
        {
            ANA: person(
                ANA,
                "Ana-Lúcia",
                "Żeromska",
                email="ana.zeromska.${run}@estaleiro.example",
                userType="employee",
                employeeNumber="10${run}01",
                costCenter="CC-7710",
                organization="Estaleiro Sul",
                division="Docas",
                department="Obras",
                locality="São Paulo",
                country="BR",
            )
        },
    ),
    (
        "create the line manager",
        {
            MBALI: person(
                MBALI,
                "Mbali",
                "Ferreira",
                email="mbali.ferreira.${run}@estaleiro.example",
                userType="employee",
                employeeNumber="10${run}02",
            )
        },
    ),
    (
        "then write by PUT",
        {
            ANA: {
                "costCenter": "CC-7720",
                "manager": MBALI,
                "organization": None,
                "division": None,
                "locality": None,
                "country": None,
            }
        },
    ),
    # Only what the object names (RFC 7644, section 3.5.2.3): the manager stays.
    (
        "delta by PATCH: the extension as one object",
        {ANA: {"costCenter": "CC-7730", "department": "Projetos"}},
    ),
    (
        "delta by PATCH: pathless with the extension nested",
        {ANA: {"title": "Engenheira", "department": "Casco"}},
    ),
    ("group: create with members", {ESTALEIRO: group(ESTALEIRO, ANA, MBALI)}),
    ("group: add and remove in one PATCH", {ESTALEIRO: members(ANA)}),
    ("group: full write by PUT", {ESTALEIRO: group("Estaleiro Sul ${run}", ANA, MBALI)}),
    ("left the company", {ANA: GONE, ESTALEIRO: members(MBALI)}),
    ("rehired", {ANA: {"active": True}, ESTALEIRO: members(ANA, MBALI)}),
    ("entity removed in the source", {ANA: GONE, ESTALEIRO: members(MBALI)}),
    ("delete the group", {ESTALEIRO: members()}),
    ("delete the manager", {MBALI: GONE}),
]

SIOBHAN = "siobhan.nakagawa.${run}@harbourboard.example"
PADRAIG = "padraig.osei.${run}@harbourboard.example"
NEVE = "neve.adeyemi.${run}@harbourboard.example"
CIAN = "cian.ivanova.${run}@harbourboard.example"
ONE, LES = "one.${run}@harbourboard.example", "less.${run}@harbourboard.example"
ODD = "odd.${run}@harbourboard.example"
SURVEY, BULK = "Survey (${run}) – Cork", "Bulk ${run}"
BOARD = "Board (${run}) – all"

HR_SYSTEM_PUSH: Meant = [
    (
        "hire",
        {
            SIOBHAN: person(
                SIOBHAN,
                "Siobhán",
                "Nakagawa",
                title="Marine Surveyor",
                userType="Regular",
                employeeNumber="W-${run}-1",
                costCenter="4400",
                department="Survey",
                organization="Harbour Board",
                locality="Cork",
                country="IE",
            )
        },
    ),
    (
        "hire the manager",
        {PADRAIG: person(PADRAIG, "Pádraig", "Osei", employeeNumber="W-${run}-2")},
    ),
    ("hire: one object where a list is meant", {ONE: person(ONE, "One", "Obi")}),
    (
        "hire: no displayName, an e-mail without type and primary, empties",
        {LES: person(LES, "Les", "Less")},
    ),
    # Nobody without a family name can be there.
    ("hire: no family name", {}),
    (
        "odd characters in the worker's id",
        {ODD: person(ODD, "Odd", "O'Neill–Ó Sé", email=None)},
    ),
    ("active as a text in capitals", {ONE: GONE}),
    ("delete who came as one object", STAYS_AWAY),
    ("delete who came with little", {LES: GONE}),
    ("delete who has an odd id", {ODD: GONE}),
    (
        "job change: PUT with everything",
        {
            SIOBHAN: {
                "title": "Senior Marine Surveyor",
                "costCenter": "4410",
                "manager": PADRAIG,
                "userType": None,
                "organization": None,
                "locality": None,
                "country": None,
            }
        },
    ),
    (
        "married: PATCH of a whole complex attribute",
        {SIOBHAN: {"displayName": "Siobhán Nakagawa-Byrne", "familyName": "Nakagawa-Byrne"}},
    ),
    ("supervisory organisation as a group", {SURVEY: group(SURVEY, SIOBHAN)}),
    ("organisation changes", {SURVEY: members(SIOBHAN, PADRAIG)}),
    # The people of the organisation below belong to the one above.
    ("organisation: one below another", {BOARD: group(BOARD, SIOBHAN, PADRAIG)}),
    ("organisation: delete the upper one", {BOARD: members()}),
    (
        "bulk: two hires and a group that names them",
        {
            NEVE: person(NEVE, "Neve", "Adeyemi"),
            CIAN: person(CIAN, "Cian", "Ivanova"),
            BULK: group(BULK, NEVE, CIAN),
        },
    ),
    ("bulk: delete the group", {BULK: members()}),
    ("bulk: remove both again", {NEVE: GONE, CIAN: GONE}),
    ("leave of absence", {SIOBHAN: GONE, SURVEY: members(PADRAIG)}),
    ("returns", {SIOBHAN: {"active": True}, SURVEY: members(SIOBHAN, PADRAIG)}),
    ("terminated", {SIOBHAN: GONE, SURVEY: members(PADRAIG)}),
    ("purged", STAYS_AWAY),
    ("delete the manager", {PADRAIG: GONE, SURVEY: members()}),
]

# By the name of the dialogue's file.
MEANT: dict[str, Meant] = {
    "entra-aadoptscim062020": ENTRA_AADOPTSCIM062020,
    "entra-default": ENTRA_DEFAULT,
    "entra-older-shapes": ENTRA_OLDER_SHAPES,
    "google-workspace": GOOGLE_WORKSPACE,
    "hr-system-push": HR_SYSTEM_PUSH,
    "okta-aiw-put": OKTA_AIW_PUT,
    "okta-import": OKTA_IMPORT,
    "okta-oin-patch": OKTA_OIN_PATCH,
    "pingfederate": PINGFEDERATE,
    "pingone": PINGONE,
    "sap-identity-provisioning": SAP_IDENTITY_PROVISIONING,
}

# The steps that give somebody another userName, and are refused where names do not change. Okta
# keeps sending the new one: bringing the person back is refused as well, taking away is not.
RENAMES: dict[str, set[str]] = {
    "entra-default": {"the user principal name changes"},
    "google-workspace": {"main address renamed"},
    "okta-aiw-put": {"login renamed by PUT", "reactivate by PUT"},
}
