#pragma once

/// Keeps the calling thread, and those that it starts later, on one core; 0 if that worked.
int ccoreaffinity_stay_on(int core);
