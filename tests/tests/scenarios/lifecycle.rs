//! TCP connections from their beginning to their several ends.

use integration::netns::Offloads;
use integration::scenario::{Place, Scenario, Stage};
use integration::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("request_and_answer", request_and_answer)
        .checks("a request is answered, and each end closes")
        .places(Place::ALL)
        .offloads(&[Offloads::Off, Offloads::On]),
    Scenario::new("server_speaks_first", server_speaks_first)
        .checks("a banner arrives before the client has said anything"),
    Scenario::new("half_close_by_client", half_close_by_client)
        .checks("an answer after the client's FIN arrives")
        .places(Place::ALL),
    Scenario::new("half_close_by_server", half_close_by_server)
        .checks("a request after the server's FIN arrives")
        .places(Place::ALL),
    Scenario::new("reset_by_client", reset_by_client)
        .checks("the client's RST reaches the application")
        .places(Place::ALL),
    Scenario::new("reset_by_server", reset_by_server)
        .checks("the application's RST reaches the client")
        .places(Place::ALL),
    Scenario::new("simultaneous_close", simultaneous_close)
        .checks("both ends close before they know of the other's FIN"),
    Scenario::new("nobody_listens", nobody_listens)
        .checks("a client is refused at once, from the port it asked")
        .places(Place::ALL),
    Scenario::new("server_restarts", server_restarts)
        .checks("a client survives neither more nor less than the restart of the application"),
    Scenario::new("keep_alive", keep_alive)
        .checks("one connection carries many requests")
        .offloads(&[Offloads::Off, Offloads::On]),
];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn request_and_answer(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.send(REQUEST);
    server.expect(REQUEST).send(ANSWER).close();
    client.expect(ANSWER).expect_eof().close();
}

fn server_speaks_first(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    server.send(b"220 ready\r\n");
    client.expect(b"220 ready\r\n").send(b"QUIT\r\n");
    server.expect(b"QUIT\r\n").close();
    client.expect_eof().close();
}

fn half_close_by_client(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.send(REQUEST).shutdown();
    server.expect(REQUEST).expect_eof().send(ANSWER).close();
    client.expect(ANSWER).expect_eof().close();
}

fn half_close_by_server(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    server.send(ANSWER).shutdown();
    client.expect(ANSWER).expect_eof().send(REQUEST).close();
    server.expect(REQUEST).expect_eof().close();
}

fn reset_by_client(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.send(REQUEST);
    server.expect(REQUEST);
    client.abort();
    server.expect_reset();
}

fn reset_by_server(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.send(REQUEST);
    server.expect(REQUEST).abort();
    client.expect_reset();
}

fn simultaneous_close(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.send(REQUEST);
    server.expect(REQUEST).send(ANSWER);
    client.expect(ANSWER);
    std::thread::scope(|scope| {
        scope.spawn(|| client.shutdown());
        server.shutdown();
    });
    client.expect_eof();
    server.expect_eof();
}

fn nobody_listens(stage: &Stage) {
    stage.dial(80).refused();
    stage.dial(80).from(stage.source_port(0)).refused();
    stage.dial(8000).refused();
}

fn server_restarts(stage: &Stage) {
    let listener = stage.listen(8000);
    let client = stage.connect(80);
    let server = listener.accept();
    client.send(REQUEST);
    server.expect(REQUEST);
    drop(listener);
    // A program that another scenario is just starting may hold a copy of it.
    wait::until("nobody listens", || !stage.server_host().listens_on(8000));
    stage.dial(80).refused();
    server.abort();
    client.expect_reset();
    stage.dial(80).refused();

    let listener = stage.listen(8000);
    let client = stage.connect(80);
    let server = listener.accept();
    client.send(REQUEST);
    server.expect(REQUEST).send(ANSWER).close();
    client.expect(ANSWER).expect_eof().close();
}

fn keep_alive(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    let body: Vec<u8> = (0..60_000u32).map(|index| (index % 251) as u8).collect();
    for _ in 0..5 {
        client.deliver(&server, REQUEST);
        server.deliver(&client, &body);
    }
    client.close();
    server.expect_eof().close();
}
