internal import DepthCacheAPI
internal import K8sClient

/// An Event to be recorded about a DepthCache.
struct PlannedEvent: Equatable, Sendable {
    var isWarning: Bool
    var reason: Reason
    var message: String
}

/// Which changes of a status deserve an Event: those that a person would want to be told.
enum EventPlan {
    /// Reasons that every cache passes on its way up; told by the creation of its copies already.
    private static let passing: Set<String> = Set(
        [Reason.placing, .replicasPending, .starting, .connecting, .awaitingSnapshot].map(\.rawValue))

    static func events(from old: DepthCacheStatus?, to new: DepthCacheStatus) -> [PlannedEvent] {
        let before = old?.conditions ?? []
        let after = new.conditions ?? []
        guard let ready = after[ConditionType.ready], let degraded = after[ConditionType.degraded]
        else { return [] }
        var events: [PlannedEvent] = []
        if hasChanged(before[ConditionType.ready], ready), !passing.contains(ready.reason) {
            events.append(event(ready, isWarning: ready.status != .yes))
        } else if ready.status == .no, before[ConditionType.ready]?.status == .yes {
            events.append(event(ready, isWarning: true))
        }
        guard ready.status == .yes else { return events }
        if hasChanged(before[ConditionType.degraded], degraded) {
            let wasDegraded = before[ConditionType.degraded]?.status == .yes
            if degraded.status == .yes, !passing.contains(degraded.reason) {
                events.append(event(degraded, isWarning: true))
            } else if degraded.status == .no, wasDegraded, events.isEmpty {
                events.append(event(degraded, isWarning: false))
            }
        }
        return events
    }

    private static func hasChanged(_ old: Condition?, _ new: Condition) -> Bool {
        old?.status != new.status || old?.reason != new.reason
    }

    private static func event(_ condition: Condition, isWarning: Bool) -> PlannedEvent {
        PlannedEvent(
            isWarning: isWarning, reason: Reason(rawValue: condition.reason), message: condition.message)
    }
}
