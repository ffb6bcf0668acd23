"""Writes a tar as Python's tarfile does, from JSON on stdin: a list of [name, base64 content]."""
import base64, io, json, sys, tarfile

with tarfile.open(sys.argv[1], "w", format=tarfile.GNU_FORMAT) as tar:
    for name, content in json.load(sys.stdin):
        data = base64.b64decode(content)
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
