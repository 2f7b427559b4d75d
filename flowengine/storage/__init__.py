"""Storage of recordings as a service: the plan while calls run, retention, and what admins are told.

For whoever shows or changes it (a command line, an API), these are the functions, with `database` an open `Database`:

| to | call |
| --- | --- |
| show how full it is | `rooms.usage(session, account)` |
| draw it by day | `room_reports.usage_by_day(session, account, first, last, zone)` |
| choose a plan | `rooms.set_plan(session, account, code, at)` with the fee in the same transaction |
| list, find | `recording_lists.page(session, account, wanted, cursor)`, `recording_lists.find(session, account, id)` |
| mark heard | `recordings.mark_heard(session, account, id)` |
| delete | `Retention(database, library, clock).delete(account, ids, by)` |
| keep for 3 or 6 months | `recordings.set_keep_months(session, account, months)` |
| check the books | `room_reports.audit(session, account)`: all differences are 0 |
| see what admins were told | `notifications.notices(session, account)` |

`rooms`, `room_reports`, `recordings`, `recording_lists` and `notifications` are modules of `flowengine.store`; what
reads takes a session of `Database.reading`, what writes one of `Database.writing`.
"""
