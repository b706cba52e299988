//! The slim view of `PluginService` must be the same wire as the full one (`proto/CONTRACT.md`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a failed test is a panic"
)]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a panic in a helper is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use latchkey::pb::{FULL_DESCRIPTOR_SET, SLIM_DESCRIPTOR_SET, full, slim};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use static_assertions::assert_not_impl_any;

/// All types of a descriptor set by their full name, such as `.plugin.AuthRequest`.
struct View {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
    /// `service/method` with its two message names and whether each side streams.
    methods: BTreeMap<String, (String, String, bool, bool)>,
}

impl View {
    fn of(set: &[u8]) -> Self {
        let mut view = Self { messages: BTreeMap::new(), enums: BTreeMap::new(), methods: BTreeMap::new() };
        for file in FileDescriptorSet::decode(set).expect("a descriptor set").file {
            let scope = format!(".{}", file.package());
            for service in &file.service {
                for method in &service.method {
                    let path = format!("{scope}.{}/{}", service.name(), method.name());
                    let ends = (method.input_type().to_owned(), method.output_type().to_owned());
                    let streams = (method.client_streaming(), method.server_streaming());
                    let before = view.methods.insert(path.clone(), (ends.0, ends.1, streams.0, streams.1));
                    assert!(before.is_none(), "{path} stands twice");
                }
            }
            view.add(&scope, file.message_type, file.enum_type);
        }
        view
    }

    fn add(&mut self, scope: &str, messages: Vec<DescriptorProto>, enums: Vec<EnumDescriptorProto>) {
        for one in enums {
            self.enums.insert(format!("{scope}.{}", one.name()), one);
        }
        for mut message in messages {
            let name = format!("{scope}.{}", message.name());
            let (nested, enums) = (std::mem::take(&mut message.nested_type), std::mem::take(&mut message.enum_type));
            self.add(&name, nested, enums);
            self.messages.insert(name, message);
        }
    }

    /// The methods of `PluginService` alone: go-plugin's services share the package in the full view.
    fn plugin_service(&self) -> BTreeMap<&str, &(String, String, bool, bool)> {
        let path = ".plugin.PluginService/";
        self.methods.iter().filter_map(|(name, ends)| Some((name.strip_prefix(path)?, ends))).collect()
    }
}

/// Messages that the slim view keeps undecoded, part by part: protobuf merges the parts of a message, so the wire is the
/// same. With the slim message that the parts are decoded as.
const UNDECODED: [(&str, &str); 1] = [(".plugin.AuthRequest.request", ".plugin.AuthenticatedRequest")];

/// Why a slim field is not the full field with its number, if it is not.
fn difference(slim: &FieldDescriptorProto, full: &FieldDescriptorProto) -> Option<&'static str> {
    let repeated = |field: &FieldDescriptorProto| field.label() == Label::Repeated;
    let same_type = slim.r#type() == full.r#type() || (slim.r#type() == Type::Bytes && full.r#type() == Type::String);
    match () {
        () if slim.name() != full.name() => Some("another name"),
        () if repeated(slim) != repeated(full) => Some("repeated on one side only"),
        () if !same_type => Some("a type of another encoding"),
        () => None,
    }
}

/// Walks from the messages of each method down through their fields, a map being a repeated entry message, and returns
/// what differs and the slim messages met.
fn compare(slim: &View, full: &View) -> (Vec<String>, BTreeSet<String>) {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, (input, output, ..)) in slim.plugin_service() {
        let (full_input, full_output, ..) = full.plugin_service()[name];
        pairs.extend([(input.clone(), full_input.clone()), (output.clone(), full_output.clone())]);
    }
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    while let Some((slim_name, full_name)) = pairs.pop() {
        if !met.insert((slim_name.clone(), full_name.clone())) {
            continue;
        }
        for field in &slim.messages[&slim_name].field {
            let place = format!("{slim_name}.{}", field.name());
            let Some(other) = full.messages[&full_name].field.iter().find(|f| f.number() == field.number()) else {
                wrong.push(format!("{place}: no field {} in {full_name}", field.number()));
                continue;
            };
            if let Some((_, as_message)) = UNDECODED.iter().find(|(path, _)| *path == place) {
                assert!(field.r#type() == Type::Bytes && other.r#type() == Type::Message, "{place}");
                assert!(field.label() == Label::Repeated && other.label() != Label::Repeated, "{place}");
                pairs.push(((*as_message).to_owned(), other.type_name().to_owned()));
                continue;
            }
            wrong.extend(difference(field, other).map(|why| format!("{place}: {why} than {full_name}")));
            let types = (field.type_name().to_owned(), other.type_name().to_owned());
            match (field.r#type(), other.r#type()) {
                (Type::Message, Type::Message) => pairs.push(types),
                (Type::Enum, Type::Enum) if slim.enums[&types.0] != full.enums[&types.1] => {
                    wrong.push(format!("{place}: another enum than {}", types.1));
                }
                _ => {}
            }
        }
    }
    (wrong, met.into_iter().map(|(slim_name, _)| slim_name).collect())
}

#[test]
fn both_views_have_the_same_methods() {
    let (slim, full) = (View::of(SLIM_DESCRIPTOR_SET), View::of(FULL_DESCRIPTOR_SET));
    assert_eq!(slim.plugin_service(), full.plugin_service());
    assert_eq!(slim.plugin_service().len(), 35, "the contract lists 35 methods");
    assert_eq!(slim.methods.len(), 35, "the slim view has no other service");
}

#[test]
fn slim_fields_are_fields_of_the_full_view() {
    let (slim, full) = (View::of(SLIM_DESCRIPTOR_SET), View::of(FULL_DESCRIPTOR_SET));
    let (wrong, met) = compare(&slim, &full);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(met, slim.messages.keys().cloned().collect(), "each slim message belongs to a method");
}

#[test]
fn the_comparison_sees_a_changed_field() {
    let (mut slim, full) = (View::of(SLIM_DESCRIPTOR_SET), View::of(FULL_DESCRIPTOR_SET));
    let mut change = |message: &str, number: i32, to: fn(&mut FieldDescriptorProto)| {
        let fields = &mut slim.messages.get_mut(message).expect("a message").field;
        to(fields.iter_mut().find(|field| field.number() == number).expect("a field"));
    };
    change(".plugin.AuthRequest", 1, |field| field.number = Some(9));
    change(".plugin.AuthenticatedRequest", 6, |field| field.name = Some("remote".to_owned()));
    change(".plugin.HeaderEntry", 2, |field| field.set_type(Type::Uint64));
    change(".plugin.PluginContext", 7, |field| field.set_label(Label::Optional));
    slim.enums.get_mut(".plugin.OpenSessionResponse.CloseReason").expect("an enum").value.truncate(1);
    // An entry of headers is met twice: in a gateway's request and in one to an endpoint.
    assert_eq!(compare(&slim, &full).0.len(), 6);
}

#[test]
fn no_number_or_name_is_used_twice() {
    for view in [View::of(SLIM_DESCRIPTOR_SET), View::of(FULL_DESCRIPTOR_SET)] {
        for (name, message) in &view.messages {
            let numbers: BTreeSet<_> = message.field.iter().map(FieldDescriptorProto::number).collect();
            let names: BTreeSet<_> = message.field.iter().map(FieldDescriptorProto::name).collect();
            assert_eq!((numbers.len(), names.len()), (message.field.len(), message.field.len()), "{name}");
        }
        for (name, one) in &view.enums {
            let numbers: BTreeSet<_> = one.value.iter().map(prost_types::EnumValueDescriptorProto::number).collect();
            assert_eq!(numbers.len(), one.value.len(), "{name}");
        }
    }
}

#[test]
fn the_server_reads_what_a_host_sends() {
    let context = full::plugin::PluginContext {
        request_id: "req_1".to_owned(),
        llm_id: 7,
        metadata: [("edge_namespace".to_owned(), "north".to_owned())].into(),
        trace_context: [("traceparent".to_owned(), "00".to_owned())].into(),
        ..Default::default()
    };
    let request = full::plugin::PluginRequest {
        method: "POST".to_owned(),
        path: "/llm/rest/one/".to_owned(),
        headers: [("Authorization".to_owned(), "Bearer k".to_owned())].into(),
        body: vec![0xff; 1 << 20],
        context: Some(context.clone()),
        remote_addr: "192.0.2.1:5".to_owned(),
    };
    let entry = slim::plugin::MetadataEntry { key: b"edge_namespace".to_vec(), value: b"north".to_vec() };

    let pre_auth = slim::plugin::PluginRequest::decode(request.encode_to_vec().as_slice()).expect("the same wire");
    let header = slim::plugin::HeaderEntry { key: b"Authorization".to_vec(), value: b"Bearer k".to_vec() };
    assert!(pre_auth.headers == [header]);
    assert_eq!(pre_auth.context.expect("a context").metadata, std::slice::from_ref(&entry));

    let auth = full::plugin::AuthRequest {
        credential: "k".to_owned(),
        auth_type: "bearer".to_owned(),
        request: Some(request),
        context: Some(context),
    };
    let auth = slim::plugin::AuthRequest::decode(auth.encode_to_vec().as_slice()).expect("the same wire");
    assert_eq!((auth.credential.as_slice(), auth.request.len()), (&b"k"[..], 1));
    let inner = slim::plugin::AuthenticatedRequest::decode(auth.request[0].as_ref()).expect("the same wire");
    assert_eq!((inner.headers.len(), inner.remote_addr.as_slice()), (1, &b"192.0.2.1:5"[..]));
    let context = auth.context.expect("a context");
    assert_eq!((context.request_id.as_slice(), context.llm_id, context.metadata), (&b"req_1"[..], 7, vec![entry]));
}

#[test]
fn text_that_is_not_utf8_reaches_us() {
    let bad = vec![0xc3, 0x28];
    let sent = slim::plugin::AuthRequest {
        credential: bad.clone(),
        auth_type: bad.clone(),
        request: vec![
            slim::plugin::AuthenticatedRequest { remote_addr: bad.clone(), ..Default::default() }
                .encode_to_vec()
                .into(),
        ],
        context: Some(slim::plugin::PluginContext { request_id: bad.clone(), ..Default::default() }),
    }
    .encode_to_vec();
    assert!(full::plugin::AuthRequest::decode(sent.as_slice()).is_err(), "the full view would refuse the call");
    let read = slim::plugin::AuthRequest::decode(sent.as_slice()).expect("bytes are bytes");
    assert!(read.credential == bad);
}

// Logging a message with a credential must not compile, in either view.
assert_not_impl_any!(slim::plugin::AuthRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::PluginRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::HeaderEntry: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::EnrichedRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::GetAppRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::GetUserRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::InitRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::CallRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::CallResponse: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::PortalCallRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::PortalCallResponse: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::EndpointRequest: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::EndpointResponse: std::fmt::Debug);
assert_not_impl_any!(slim::plugin::EndpointResponseChunk: std::fmt::Debug);
assert_not_impl_any!(full::plugin::AuthRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::PluginRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::EnrichedRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::GetAppRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::GetUserRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::InitRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::CallRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::CallResponse: std::fmt::Debug);
assert_not_impl_any!(full::plugin::PortalCallRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::PortalCallResponse: std::fmt::Debug);
assert_not_impl_any!(full::plugin::EndpointRequest: std::fmt::Debug);
assert_not_impl_any!(full::plugin::ObjectHookRequest: std::fmt::Debug);
