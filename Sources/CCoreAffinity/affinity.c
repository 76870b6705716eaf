#define _GNU_SOURCE
#include "CCoreAffinity.h"
#include <sched.h>

// The types and calls are GNU extensions, which the Swift overlay of the C library leaves out.
int ccoreaffinity_stay_on(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set);
}
