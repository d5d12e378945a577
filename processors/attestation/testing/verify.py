"""What libraries of others make of our attestations and PROV documents.

Reads one JSON document from standard input: {"bundle": text, "key": PEM, "prov": document}; writes one with what was understood.
Ends with an error where anything does not verify or does not parse. Packages: requirements.txt beside this file.
"""
import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from prov.model import ProvDocument
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

PREDICATES = {
    "https://slsa.dev/provenance/v1": Provenance,
    "https://in-toto.io/attestation/test-result/v0.1": TestResult,
}


def attestation(line, pem):
    envelope = Envelope.from_dict(json.loads(line))
    (keyid,) = envelope.signatures
    envelope.verify([SSlibKey.from_crypto(load_pem_public_key(pem), keyid)], 1)
    payload = json.loads(envelope.payload)
    # Strict: a field that the schema does not have is an error, at every level.
    parsed = json_format.ParseDict(payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    predicate = json_format.ParseDict(payload["predicate"], PREDICATES[parsed.predicate_type]())
    return {
        "keyid": keyid,
        "pae": envelope.pae().decode(),
        "predicateType": parsed.predicate_type,
        "subject": [{"name": one.name, "sha256": one.digest["sha256"]} for one in parsed.subject],
        "predicate": json_format.MessageToDict(predicate),
    }


def provenance(document):
    parsed = ProvDocument.deserialize(content=json.dumps(document), format="json")
    again = ProvDocument.deserialize(content=parsed.serialize(format="json"), format="json")
    if parsed != again:
        raise ValueError("the document is another one after it was written and read")
    names = {}
    for record in parsed.get_records():
        kind = str(record.get_type().localpart)
        names[kind] = names.get(kind, 0) + 1
    return {"records": names, "provn": parsed.get_provn()}


given = json.load(sys.stdin)
json.dump(
    {
        "attestations": [attestation(line, given["key"].encode()) for line in given["bundle"].splitlines()],
        "prov": provenance(given["prov"]),
    },
    sys.stdout,
)
