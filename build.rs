//! Compiles `proto/` without `protoc`, in two views of the same wire (`proto/CONTRACT.md`).

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Everything as hosts speak it. One call: go-plugin and the host share `package plugin`, a second would overwrite it.
const FULL: [&str; 6] = [
    "go_plugin/go_plugin.proto",
    "host/plugin.proto",
    "host/config_provider.proto",
    "host/microgateway_management.proto",
    "host/ai_studio_management.proto",
    "host/plugin_events.proto",
];

/// What our server reads of `PluginService`.
const SLIM: [&str; 1] = ["slim/plugin.proto"];

/// The administration of the store, ours alone.
const ADMIN: [&str; 1] = ["latchkey/admin/v1/admin.proto"];

/// Messages that carry a credential, a secret shown once, a subject, a body or a raw object, and all that embed one.
/// They get no `Debug`, so that logging one does not compile.
const NO_DEBUG: [&str; 36] = [
    ".plugin.InitRequest",
    ".plugin.PluginRequest",
    ".plugin.HeaderEntry",
    ".plugin.AuthRequest",
    ".plugin.AuthenticatedRequest",
    ".plugin.GetAppRequest",
    ".plugin.GetUserRequest",
    ".plugin.EnrichedRequest",
    ".plugin.HeadersRequest",
    ".plugin.ResponseWriteRequest",
    ".plugin.StreamCompleteRequest",
    ".plugin.ProxyLogRequest",
    ".plugin.CallRequest",
    ".plugin.CallResponse",
    ".plugin.PortalCallRequest",
    ".plugin.PortalCallResponse",
    ".plugin.AgentMessageRequest",
    ".plugin.ObjectHookRequest",
    ".plugin.EdgePayloadRequest",
    ".plugin.EndpointRequest",
    ".plugin.EndpointResponse",
    ".plugin.EndpointResponseChunk",
    ".plugin.CreateResourceInstanceRequest",
    ".plugin_events.PublishRequest",
    ".plugin_events.EventMessage",
    ".latchkey.admin.v1.IssueCredentialResponse",
    ".latchkey.admin.v1.RotateCredentialResponse",
    ".latchkey.admin.v1.CreateOperatorResponse",
    ".latchkey.admin.v1.ExplainCredentialRequest",
    ".latchkey.admin.v1.TestCredentialRequest",
    ".latchkey.admin.v1.ImportCredentialsRequest",
    ".latchkey.admin.v1.CreateLinkRequest",
    ".latchkey.admin.v1.ListLinksRequest",
    ".latchkey.admin.v1.IssueTokenResponse",
    ".latchkey.admin.v1.RevokeTokenRequest",
    ".latchkey.admin.v1.InspectTokenRequest",
];

#[expect(clippy::disallowed_methods, reason = "a build script is told its place by cargo's environment alone")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile(&out, "full", &FULL, true)?;
    compile(&out, "slim", &SLIM, false)?;
    compile(&out, "admin", &ADMIN, true)?;
    Ok(())
}

/// Writes the code into `OUT_DIR/<view>` and the descriptors, without comments, into `OUT_DIR/<view>.bin`.
fn compile(out: &Path, view: &str, files: &[&str], clients: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    let descriptors = compiler.file_descriptor_set();
    compiler.include_source_info(false);
    fs::write(out.join(view).with_extension("bin"), compiler.encode_file_descriptor_set())?;

    let code = out.join(view);
    fs::create_dir_all(&code)?;
    tonic_prost_build::configure()
        .build_client(clients)
        .skip_debug(NO_DEBUG)
        // A slice of the call's own buffer, not a copy.
        .bytes(".plugin.AuthRequest.request")
        // In a fixed order, so that the same request is the same bytes.
        .btree_map(".latchkey")
        .out_dir(code)
        .compile_fds(descriptors)
        .map_err(io::Error::into)
}
