//! Calls by the name of the method and the bytes of the message, so that a test can go through a whole descriptor.

use prost::Message as _;
use prost::bytes::{Buf, BufMut, Bytes};
use prost_types::FileDescriptorSet;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

#[derive(Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Every method of the service, by name.
pub fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(latchkey::pb::ADMIN_DESCRIPTOR_SET).unwrap();
    let services = set.file.into_iter().flat_map(|file| file.service);
    let admin: Vec<_> = services.filter(|service| service.name() == "AdminService").collect();
    assert_eq!(admin.len(), 1);
    admin[0].method.iter().map(|method| method.name().to_owned()).collect()
}

/// Calls a method with one message, and takes its first answer. One message is what a call of one answer sends, too.
pub async fn call(channel: &Channel, method: &str, token: Option<&str>, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(tokio_stream::once(Bytes::from(message)));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let path = format!("/latchkey.admin.v1.AdminService/{method}");
    let mut answers = grpc.streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
    match tokio::time::timeout(std::time::Duration::from_secs(10), answers.message()).await {
        Ok(answer) => answer.map(Option::unwrap_or_default),
        // A stream that has nothing to tell yet has let the caller in.
        Err(_) => Ok(Bytes::new()),
    }
}

/// Calls a method and never sends its message whole.
pub async fn call_without_end(channel: &Channel, method: &str, token: &str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(tokio_stream::pending::<Bytes>());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let path = format!("/latchkey.admin.v1.AdminService/{method}");
    grpc.streaming(request, path.parse().unwrap(), Raw).await.map(drop)
}
