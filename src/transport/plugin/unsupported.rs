//! The hooks that we do not serve, each answered exactly as the Go SDK's wrapper answers for a plugin that lacks it
//! (host contract 5.4). Hosts read meaning into these answers: a zero value of `ObjectHookResponse` would
//! reject the operation (hazard H17).

use tonic::Status;

use crate::pb::slim::plugin as pb;

const NO_RESOURCES: &str = "plugin does not implement ResourceProvider";

/// Proxy logs, analytics, budget usage: taken note of by nobody.
pub fn not_collected() -> pb::DataCollectionResponse {
    pb::DataCollectionResponse { success: true, handled: false, ..Default::default() }
}

/// The AI Portal's calls.
pub fn no_portal() -> pb::PortalCallResponse {
    pb::PortalCallResponse {
        success: false,
        error_message: "plugin does not support portal RPC calls".to_owned(),
        ..Default::default()
    }
}

/// Object hooks: the operation goes ahead.
pub fn object_allowed() -> pb::ObjectHookResponse {
    pb::ObjectHookResponse { allow_operation: true, ..Default::default() }
}

/// Edge payloads.
pub fn no_edge_payload() -> pb::EdgePayloadResponse {
    pb::EdgePayloadResponse {
        success: false,
        handled: false,
        error_message: "plugin does not implement EdgePayloadReceiver".to_owned(),
        ..Default::default()
    }
}

/// Endpoints.
pub fn no_endpoint() -> pb::EndpointResponse {
    pb::EndpointResponse {
        status_code: 501,
        error_message: "plugin does not implement custom endpoints".to_owned(),
        ..Default::default()
    }
}

/// Streaming endpoints.
pub fn no_endpoint_stream() -> Status {
    Status::unknown("plugin does not implement streaming custom endpoints")
}

/// Agents.
pub fn no_agent() -> Status {
    Status::unknown("plugin does not implement agent functionality")
}

/// Schedules.
pub fn no_scheduler() -> Status {
    Status::unknown("plugin does not implement SchedulerPlugin")
}

/// Lists of resources.
pub fn no_instances() -> pb::ListResourceInstancesResponse {
    pb::ListResourceInstancesResponse { success: false, error_message: NO_RESOURCES.to_owned(), ..Default::default() }
}

/// One resource.
pub fn no_instance() -> pb::GetResourceInstanceResponse {
    pb::GetResourceInstanceResponse { success: false, error_message: NO_RESOURCES.to_owned(), ..Default::default() }
}

/// A new resource.
pub fn no_created_instance() -> pb::CreateResourceInstanceResponse {
    pb::CreateResourceInstanceResponse { success: false, error_message: NO_RESOURCES.to_owned(), ..Default::default() }
}

/// A selection of resources that are none of ours.
pub fn selection_valid() -> pb::ValidateResourceSelectionResponse {
    pb::ValidateResourceSelectionResponse { valid: true, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h17_an_object_hook_lets_the_operation_go_ahead() {
        let answer = object_allowed();
        assert!(answer.allow_operation && !answer.modified);
        assert!(!pb::ObjectHookResponse::default().allow_operation, "the zero value would have rejected it");
        assert!(selection_valid().valid);
    }
}
