// A client in JavaScript, for Node.js 20 and browsers: one lesson, from its opening to its end.
//
//     node examples/client.mjs http://127.0.0.1:8080

// The service said no: `code` is for programs, `message` for people. The gateway's own refusals have no code.
class Refused extends Error {
  constructor(problem) {
    super(problem.code ? `${problem.code}: ${problem.detail}` : problem.message);
    this.code = problem.code;
  }
}

class Sessions {
  constructor(address) {
    this.address = address;
  }

  async create(name, instructor, students) {
    const body = { name, instructor_id: instructor, student_ids: students };
    return (await this.ask("POST", "/api/sessions", body)).session;
  }

  async mayJoin(session, user, role = "student") {
    const query = new URLSearchParams({ user_id: user, role });
    try {
      return (await this.ask("GET", `/api/sessions/${session}/validate?${query}`)).valid;
    } catch (error) {
      if (["unauthorized", "session_ended"].includes(error.code)) return false;
      throw error;
    }
  }

  async store(session, message) {
    return (await this.ask("POST", `/api/sessions/${session}/messages`, message)).message;
  }

  // Every message that this user may read, oldest first, page after page.
  async *history(session, user, role) {
    const query = new URLSearchParams({ user_id: user, role, limit: "100" });
    for (;;) {
      const page = await this.ask("GET", `/api/sessions/${session}/messages?${query}`);
      yield* page.messages;
      if (page.next_cursor === null) return;
      query.set("cursor", page.next_cursor);
    }
  }

  async end(session) {
    return (await this.ask("DELETE", `/api/sessions/${session}`)).session;
  }

  // One call. A POST has a key, so that it can be repeated when its answer was lost: it takes effect once.
  async ask(method, path, body) {
    const headers = body ? { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() } : {};
    const request = { method, headers, body: body && JSON.stringify(body) };
    let response = await fetch(this.address + path, request);
    if (response.status === 503) response = await fetch(this.address + path, request);
    const answer = await response.json();
    if (!response.ok) throw new Refused(answer);
    return answer;
  }
}

const address = process.argv[2] ?? "http://127.0.0.1:8080";
const sessions = new Sessions(address);
try {
  const { id } = await sessions.create("Fractions", "ms_noether", ["ann", "bob"]);
  console.log("ann may join:", await sessions.mayJoin(id, "ann"));
  console.log("eve may join:", await sessions.mayJoin(id, "eve"));
  const question = { text: "What is 1/2 + 1/4?" };
  await sessions.store(id, { type: "request", from_user: "ms_noether", role: "instructor", to_user: "ann", content: question });
  await sessions.store(id, { type: "request_response", from_user: "ann", role: "student", content: { text: "3/4" } });
  for (const [user, role] of [["ms_noether", "instructor"], ["bob", "student"]]) {
    const texts = [];
    for await (const message of sessions.history(id, user, role)) texts.push(message.content.text);
    console.log(`${user} reads:`, texts);
  }
  console.log("status:", (await sessions.end(id)).status);
  console.log("ann may join:", await sessions.mayJoin(id, "ann"));
} catch (error) {
  console.error(`${address}: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}
