use super::*;
use crate::authenticate::record::Recorder;
use crate::pb::full::plugin as full;
use crate::pb::slim::plugin as slim;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use prost::Message as _;

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

fn reduce(method: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    reduce_by(reducer::plan(method, false), pieces)
}

/// An auth call as its handler reads it, the parts of its request merged.
fn decoded(message: &[u8]) -> (slim::AuthRequest, slim::AuthenticatedRequest) {
    let call = slim::AuthRequest::decode(message).unwrap();
    let mut request = slim::AuthenticatedRequest::default();
    for part in &call.request {
        request.merge(part.as_ref()).unwrap();
    }
    (call, request)
}

fn reduce_by(plan: Option<&'static Plan>, pieces: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    let mut reducer = Reducer::new(plan.unwrap(), MAX_CALL);
    for piece in pieces {
        reducer.push(piece);
    }
    reducer.finish()
}

fn context(id: String, slug: String, llm_id: u32) -> full::PluginContext {
    let metadata = [("edge_namespace".to_owned(), slug.clone())].into();
    full::PluginContext { request_id: id, llm_slug: slug, llm_id, metadata, ..Default::default() }
}

fn auth_request(credential: String, text: String, llm_id: u32, body: Vec<u8>) -> full::AuthRequest {
    let headers = (0..5).map(|n| (format!("H{n}"), text.clone())).collect();
    let inner = full::PluginRequest {
        method: "POST".into(),
        path: text.clone(),
        headers,
        body,
        context: Some(context(text.clone(), text.clone(), llm_id)),
        remote_addr: "192.0.2.1:5".into(),
    };
    full::AuthRequest {
        credential,
        auth_type: "bearer".into(),
        request: Some(inner),
        context: Some(context(text.clone(), text, llm_id)),
    }
}

/// Cuts at the given places.
fn cut<'a>(whole: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (whole.len() + 1)).collect();
    places.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), 0);
    for place in places {
        pieces.push(&whole[from..place]);
        from = place;
    }
    pieces.push(&whole[from..]);
    pieces
}

proptest! {
    #[test]
    fn r7_what_is_left_decodes_like_the_whole(
        credential in ".{0,100}", text in ".{0,50}", llm_id: u32, body in prop::collection::vec(any::<u8>(), 0..3000),
        places in prop::collection::vec(any::<usize>(), 0..8)
    ) {
        let whole = auth_request(credential, text, llm_id, body).encode_to_vec();
        let framed = framed(&whole);
        for with_headers in [false, true] {
            let (mut expected, mut inner) = decoded(&whole);
            if !with_headers {
                inner.headers.clear();
            }
            let kept = reduce_by(reducer::plan("Authenticate", with_headers), &cut(&framed, &places)).unwrap();
            let (mut kept, kept_inner) = decoded(&kept);
            prop_assert!(kept_inner == inner);
            // What is left of the request comes in parts.
            expected.request.clear();
            kept.request.clear();
            prop_assert!(kept == expected);
        }

        let inner = full::AuthRequest::decode(whole.as_slice()).unwrap().request.unwrap().encode_to_vec();
        let expected = slim::PluginRequest::decode(inner.as_slice()).unwrap();
        let framed = super::tests::framed(&inner);
        let kept = reduce("ProcessPreAuth", &cut(&framed, &places)).unwrap();
        prop_assert!(slim::PluginRequest::decode(kept.as_slice()).unwrap() == expected);
    }

    #[test]
    fn r7_garbage_never_panics_and_never_grows(
        garbage in prop::collection::vec(any::<u8>(), 0..2000), places in prop::collection::vec(any::<usize>(), 0..6)
    ) {
        for method in ["Authenticate", "ProcessPreAuth", "GetAppByCredential", "HandleProxyLog"] {
            for whole in [garbage.clone(), framed(&garbage)] {
                if let Ok(kept) = reduce(method, &cut(&whole, &places)) {
                    prop_assert!(kept.len() <= 2 * garbage.len() + 64);
                }
            }
        }
    }
}

#[test]
fn r7_of_an_endpoints_request_no_more_is_held_than_an_endpoint_reads() {
    let request = |body: usize| full::EndpointRequest {
        method: "POST".into(),
        relative_path: "/oauth/token".into(),
        headers: [("Authorization".to_owned(), "Basic x".to_owned())].into(),
        body: vec![b'x'; body],
        scopes: vec!["never read".to_owned(); 100],
        ..Default::default()
    };
    for method in ["HandleEndpointRequest", "HandleEndpointRequestStream"] {
        let whole = framed(&request(16 * 1024).encode_to_vec());
        let read = slim::EndpointRequest::decode(reduce(method, &[&whole]).unwrap().as_slice()).unwrap();
        assert_eq!(
            (read.body.len(), read.relative_path.as_slice(), read.headers.len()),
            (16 * 1024, &b"/oauth/token"[..], 1)
        );
        assert!(reduce(method, &[&whole]).unwrap().len() < 17 * 1024);
        for body in [16 * 1024 + 1, 1 << 20] {
            let mut reducer = Reducer::new(reducer::plan(method, false).unwrap(), MAX_CALL);
            for piece in framed(&request(body).encode_to_vec()).chunks(4_096) {
                reducer.push(piece);
                assert!(reducer.held() < 1_024, "its length is known before its bytes come");
            }
            assert_eq!(reducer.finish().err(), Some(Failure::TooLarge));
        }
    }
}

#[test]
fn r7_a_length_that_claims_more_than_there_is_is_refused() {
    for bad in
        [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x0a, 5, 1], &[0x0b], &[0x00], &[0xff; 12], &[0x1a, 2, 0x0a, 9]]
    {
        assert_eq!(reduce("Authenticate", &[&framed(bad)]), Err(Failure::Malformed), "{bad:02x?}");
    }
    assert_eq!(reduce("Authenticate", &[&[1, 0, 0, 0, 0]]), Err(Failure::Malformed), "compressed");
    assert_eq!(reduce("Authenticate", &[&framed(&[0x0a, 1, b'k'])[..6]]), Err(Failure::Malformed), "cut off");
    assert_eq!(reduce("Authenticate", &[&framed(&[])]), Ok(Vec::new()));
}

#[test]
fn r7_more_to_keep_than_a_call_may_hold_is_refused_and_nothing_is_held() {
    let request = auth_request("k".repeat(MAX_CALL + 1), String::new(), 3, Vec::new());
    let mut reducer = Reducer::new(reducer::plan("Authenticate", false).unwrap(), MAX_CALL);
    for piece in framed(&request.encode_to_vec()).chunks(1000) {
        reducer.push(piece);
        assert!(reducer.held() <= 2 * MAX_CALL);
    }
    assert_eq!(reducer.held(), 0);
    assert_eq!(reducer.finish(), Err(Failure::TooLarge));
}

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(Arc::new(Metrics::new(&Recorder::reason_labels()))))
}

async fn through(pieces: Vec<Bytes>, budget: &Arc<Budget>) -> (Vec<u8>, Option<u8>, usize) {
    let verdict = Verdict::default();
    let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(piece)));
    let body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
    let plan = reducer::plan("Authenticate", false).unwrap();
    let mut reduced = Reduced::new(body, plan, Arc::clone(budget), verdict.clone());
    let (mut out, mut most) = (Vec::new(), 0);
    while let Some(frame) = reduced.frame().await {
        out.extend_from_slice(&frame.unwrap().into_data().unwrap());
        most = most.max(budget.held());
    }
    (out, Some(verdict.0.load(Ordering::Acquire)).filter(|v| *v > 0), most)
}

#[tokio::test]
async fn h9_a_body_of_64_mib_passes_and_is_never_held() {
    let whole = framed(&auth_request("key".into(), "t".into(), 3, vec![7; 64 << 20]).encode_to_vec());
    let pieces = whole.chunks(16 * 1024).map(Bytes::copy_from_slice).collect();
    let budget = budget();
    let (out, verdict, most) = through(pieces, &budget).await;
    let left = slim::AuthRequest::decode(&out[PREFIX..]).unwrap();
    assert_eq!((left.credential.as_slice(), verdict), (b"key".as_slice(), None));
    assert!(most < 4096, "{most} bytes were held");
    assert_eq!(budget.held(), 0, "and given back");
}

#[tokio::test]
async fn r7_a_small_message_passes_as_it_came() {
    let whole = framed(&auth_request("key".into(), "t".into(), 3, vec![7; 2048]).encode_to_vec());
    let budget = budget();
    let (out, verdict, most) = through(vec![Bytes::from(whole.clone())], &budget).await;
    assert_eq!((out, verdict, most), (whole.clone(), None, whole.len()));
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn r7_when_the_process_holds_its_most_further_calls_are_refused() {
    let budget = budget();
    assert!(budget.take(MAX_PROCESS));
    let whole = Bytes::from(framed(&auth_request("key".into(), "t".into(), 3, Vec::new()).encode_to_vec()));
    let (out, verdict, _) = through(vec![whole.clone()], &budget).await;
    assert_eq!((out, verdict), (vec![0; PREFIX], Some(Failure::NoRoom as u8)));
    budget.give_back(MAX_PROCESS);
    assert_eq!(through(vec![whole], &budget).await.1, None, "and it recovers");
}
