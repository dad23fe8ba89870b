"""Applies LDIF change records from standard input to a Samba database, in transactions of 1000.

Arguments: smb.conf, sam.ldb. The server may run meanwhile. Without batch mode each record
is a transaction within the transaction, and copies what that has changed so far: 20,000
people take nine times as long.
"""
import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

conf, sam = sys.argv[1:3]
params = LoadParm()
params.load(conf)
options = ["batch_mode:1", "transaction_index_cache_size:200000"]
db = SamDB(url=sam, lp=params, session_info=system_session(params), options=options)


def apply(kind, message):
    if kind == ldb.CHANGETYPE_MODIFY:
        db.modify(message)
    elif kind == ldb.CHANGETYPE_DELETE:
        db.delete(message.dn)
    else:
        db.add(message)


count = 0
db.transaction_start()
for record in sys.stdin.buffer.read().decode("utf-8").split("\n\n"):
    if not record.strip():
        continue
    for kind, message in db.parse_ldif(record + "\n\n"):
        try:
            apply(kind, message)
        except ldb.LdbError as e:
            sys.exit("%s: %s" % (message.dn, e))
        count += 1
        if count % 1000 == 0:
            db.transaction_commit()
            db.transaction_start()
db.transaction_commit()
