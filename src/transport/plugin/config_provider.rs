//! `config_provider.ConfigProviderService`: what Studio asks a short-lived process of ours that it never initialises
//! (host contract 1.8). Opens nothing.

use tonic::{Request, Response, Status};

use crate::pb::full::config_provider as pb;
use crate::pb::full::config_provider::config_provider_service_server::ConfigProviderService;
use crate::transport::plugin::manifest;

/// The service.
pub struct ConfigProvider {
    schema: String,
}

impl ConfigProvider {
    /// Answers with this schema.
    pub fn new(schema: String) -> Self {
        Self { schema }
    }
}

#[tonic::async_trait]
impl ConfigProviderService for ConfigProvider {
    async fn get_config_schema(
        &self,
        _: Request<pb::ConfigSchemaRequest>,
    ) -> Result<Response<pb::ConfigSchemaResponse>, Status> {
        let schema_json = self.schema.clone();
        Ok(Response::new(pb::ConfigSchemaResponse { success: true, schema_json, error_message: String::new() }))
    }
    async fn get_manifest(
        &self,
        _: Request<pb::GetManifestRequest>,
    ) -> Result<Response<pb::GetManifestResponse>, Status> {
        let manifest_json = manifest::json();
        Ok(Response::new(pb::GetManifestResponse { success: true, manifest_json, error_message: String::new() }))
    }
    async fn ping(&self, request: Request<pb::ConfigPingRequest>) -> Result<Response<pb::ConfigPingResponse>, Status> {
        let timestamp = request.into_inner().timestamp;
        Ok(Response::new(pb::ConfigPingResponse { timestamp, healthy: true }))
    }
}
