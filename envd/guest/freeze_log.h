/*
 * What the log says of freezes and thaws.  Context: loop.
 */
#ifndef ENVD_GUEST_FREEZE_LOG_H
#define ENVD_GUEST_FREEZE_LOG_H

#include <stdbool.h>

struct audit_run;
struct freeze_run;
struct thaw_run;

void freeze_log_freeze(const struct freeze_run *run);

/* rescue  by the watchdog */
void freeze_log_thaw(const struct thaw_run *run, bool rescue);
void freeze_log_audit(const struct audit_run *run);

#endif
