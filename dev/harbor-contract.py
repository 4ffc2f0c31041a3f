"""Holds recorded exchanges against a Swagger 2.0 document; see harbor-contract.sh. Needs PyYAML."""

import json
import pathlib
import re
import sys
import urllib.parse

import yaml

from contract import Contract, Verdict

# What a request is wrong about that is refused with these is what a test wants it to be.
REFUSED_FOR_THEIR_FORM = (400, 405, 415, 422)


class Swagger(Contract):
    def __init__(self, document):
        super().__init__(document)
        self.base = document["basePath"]

    def of(self, operations, operation, place):
        """The parameters of an operation that are in one place, by name."""
        named = [self.resolve(item) for item in operations.get("parameters", []) + operation.get("parameters", [])]
        return {item["name"]: item for item in named if item["in"] == place}

    def check(self, schema, value, place, partial, request):
        schema = self.resolve(schema or {})
        if value is None and (schema.get("x-nullable") or schema.get("x-isnullable")):
            return []
        problems = super().check(schema, value, place, partial, request)
        if isinstance(value, int) and not problems:
            for word, wrong in (("minimum", lambda limit: value < limit), ("maximum", lambda limit: value > limit)):
                if word in schema and wrong(schema[word]):
                    problems.append(f"{place}: {value} is beyond the {word} of {schema[word]}")
        return problems


def check_query(contract, known, pairs):
    problems = []
    for name, value in pairs:
        if name not in known:
            problems.append(f"query {name}: is not there")
            continue
        kind = known[name].get("type")
        if kind == "integer" and re.fullmatch(r"-?\d+", value):
            value = int(value)
        elif kind == "boolean" and value in ("true", "false"):
            value = value == "true"
        problems += contract.check(known[name], value, f"query {name}", False, True)
    missing = (name for name, item in known.items() if item.get("required") and name not in dict(pairs))
    return problems + [f"query {name}: is missing" for name in missing]


def problems_of(contract, exchange):
    """`METHOD template` and what is wrong with one exchange."""
    request, response = exchange["request"], exchange["response"]
    path, _, query = re.sub(r"^\w+://[^/]+", "", request["url"]).partition("?")
    path = path.removeprefix(contract.base)
    template, operations, operation = contract.operation(request["method"], path)
    if template is None:
        return f"{request['method']} {path}", [] if response["status"] == 404 else ["the path is not in the contract"]
    name = f"{request['method']} {template}"
    if operation is None:
        return name, [] if response["status"] == 405 else ["the method is not in the contract"]
    problems = []
    if response["status"] not in REFUSED_FOR_THEIR_FORM:
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        problems += check_query(contract, contract.of(operations, operation, "query"), pairs)
        body = next(iter(contract.of(operations, operation, "body").values()), None)
        if body:
            problems += contract.check(body["schema"], request["body"] or {}, "request", False, True)
        elif request["body"] is not None:
            problems.append("request: has a body")
    answer = contract.resolve(operation["responses"].get(str(response["status"])))
    if answer is None:
        known = ", ".join(sorted(map(str, operation["responses"])))
        problems.append(f"response: {response['status']} is none of {known}")
        return name, problems
    is_head, said = request["method"] == "HEAD", response["body"]
    if answer.get("schema") and not is_head:
        problems += contract.check(answer["schema"], said, "response" if response["status"] < 400 else "refusal", False, False)
    elif said is not None:
        problems.append(f"response: {response['status']} has a body")
    if "X-Total-Count" in answer.get("headers", {}) and not re.fullmatch(r"\d+", response["total"] or ""):
        problems.append("response: says no total")
    return name, problems


def main():
    document, folder, exceptions = sys.argv[1:4]
    contract = Swagger(yaml.load(open(document), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    for item in contract.document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"] = {str(code): answer for code, answer in operation["responses"].items()}
    verdict, count = Verdict(exceptions), 0
    for file in sorted(pathlib.Path(folder).glob("exchanges-*.jsonl")):
        for line in open(file):
            exchange = json.loads(line)
            if exchange["response"]["status"] == 501:
                # A test of what the fake says that it does not know.
                continue
            count += 1
            where, problems = problems_of(contract, exchange)
            verdict.hear(where, problems, exchange["request"]["url"])
    deviations, good = verdict.told()
    print(f"{count} exchanges on {len(verdict.operations)} operations: {deviations}")
    sys.exit(0 if good and count else 1)


main()
