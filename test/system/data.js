// What the EHR holds: made-up patients and their appointments, visits and bills.
//
// Every text says where it stands: "CANARY-Patient.name.family-7" is only ever in that element. So
// whatever leaves in any form can be held against the dataset. Every id begins with "rawid-": none
// may leave at all.

export const rawID = /rawid-[A-Za-z0-9.-]*/g;
export const canary = /CANARY-([A-Za-z]+)\.([A-Za-z.]+)-\d+/g;

export const mrn = 'urn:oid:1.2.36.146.595.217.0.1';

const confidentiality = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';

const pad = (n) => String(n).padStart(4, '0');
export const rawIDOf = (type, n) => `rawid-${type}-${pad(n)}`;
const range = (n, make) => Array.from({ length: n }, (_, i) => make(i + 1));
const pick = (type, n, of) => rawIDOf(type, ((n - 1) % of) + 1);

// counts are the resources of each type that carry no denied label.
const counts = {
  Patient: 32, Practitioner: 7, PractitionerRole: 7, Organization: 3, Location: 4, Schedule: 7, Slot: 45, Appointment: 67,
  Encounter: 23, Coverage: 32, Task: 23, Communication: 23, ServiceRequest: 23, Observation: 9, Condition: 9,
};

// The moment that resource n is about: each has its own, so that answers can be counted by it.
export const moment = (n) => new Date(Date.UTC(2031, 0, 6, 8, 0, 0) + n * 20 * 60_000).toISOString();

export function synthetic(base) {
  const say = (type, n) => (path) => `CANARY-${type}.${path}-${n}`;

  // What every resource has and no dataset lets out.
  const start = (type, n) => {
    const c = say(type, n);
    return {
      resourceType: type,
      id: rawIDOf(type, n),
      meta: {
        source: `urn:x:${c('meta.source')}`,
        profile: [`http://example.org/${c('meta.profile')}`],
        tag: [{ system: 'http://example.org/tags', code: c('meta.tag.code'), display: c('meta.tag.display') }],
        security: [{ system: confidentiality, code: 'N', display: c('meta.security.display') }],
      },
      language: 'en',
      text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${c('text.div')}</div>` },
      contained: [{ resourceType: 'Basic', id: `rawid-contained-${n}`, code: { text: c('contained.code') } }],
      extension: [{ url: `http://example.org/${c('extension.url')}`, valueString: c('extension.valueString') }],
      modifierExtension: [{ url: `http://example.org/${c('modifierExtension.url')}`, valueBoolean: false }],
    };
  };
  const coding = (c, path, code, system = 'http://example.org/codes') => ({
    coding: [{ system, version: c(`${path}.coding.version`), code, display: c(`${path}.coding.display`), userSelected: true }],
    text: c(`${path}.text`),
  });
  const ref = (c, path, target, of, n) => ({
    reference: n % 5 === 0 ? `${base}/${target}/${pick(target, n, of)}` : `${target}/${pick(target, n, of)}`,
    type: target,
    display: c(`${path}.display`),
    identifier: { system: mrn, value: c(`${path}.identifier.value`) },
    _reference: { extension: [{ url: 'http://example.org/x', valueString: c(`${path}.reference.extension`) }] },
  });
  const identifier = (c, n, path = 'identifier') => [
    {
      use: 'usual', type: coding(c, `${path}.type`, c(`${path}.type.coding.code`)), system: mrn, value: c(`${path}.value`),
      period: { start: '2001-02-03' }, assigner: { display: c(`${path}.assigner.display`) },
      _value: { extension: [{ url: 'http://example.org/x', valueString: c(`${path}.value.extension`) }] },
    },
    { system: 'http://example.org/numbers', value: `N${pad(n)}` },
  ];
  const name = (c) => ({
    id: c('name.id'), use: 'official', text: c('name.text'), family: c('name.family'), given: [c('name.given'), c('name.given')],
    prefix: [c('name.prefix')], suffix: [c('name.suffix')], period: { start: '1999-09-09' },
    _family: { extension: [{ url: 'http://example.org/x', valueString: c('name.family.extension') }] },
    _given: [null, { extension: [{ url: 'http://example.org/x', valueString: c('name.given.extension') }] }],
  });
  const telecom = (c) => [{ system: 'phone', value: c('telecom.value'), use: 'home' }];
  const address = (c) => ({ line: [c('address.line')], city: c('address.city'), postalCode: c('address.postalCode'), text: c('address.text') });
  const period = (c, path, n) => ({
    start: moment(n), end: moment(n + 1),
    extension: [{ url: 'http://example.org/x', valueString: c(`${path}.extension`) }],
  });
  const note = (c) => [{ text: c('note.text'), authorString: c('note.authorString') }];
  const all = (type, more) => range(counts[type], (n) => {
    const c = say(type, n);
    return { ...start(type, n), ...more(n, c) };
  });

  const visible = [
    ...all('Patient', (n, c) => ({
      identifier: identifier(c, n), active: true, name: [name(c)], telecom: telecom(c), gender: n % 2 ? 'female' : 'male',
      birthDate: `19${40 + (n % 50)}-0${1 + (n % 9)}-1${n % 10}`,
      _birthDate: { extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime', valueDateTime: '1940-01-01T01:02:03Z' }] },
      _active: { extension: [{ url: 'http://example.org/x', valueString: c('active.extension') }] },
      deceasedBoolean: false, address: [address(c)], maritalStatus: coding(c, 'maritalStatus', c('maritalStatus.coding.code')),
      multipleBirthInteger: 77, photo: [{ contentType: 'image/png', data: 'Q0FOQVJZ', title: c('photo.title') }],
      contact: [{ name: { family: c('contact.name.family') }, telecom: [{ value: c('contact.telecom.value') }] }],
      communication: [{ language: coding(c, 'communication.language', c('communication.language.coding.code')) }],
      generalPractitioner: [ref(c, 'generalPractitioner', 'Practitioner', 7, n)],
      managingOrganization: ref(c, 'managingOrganization', 'Organization', 3, n),
      link: [{ other: ref(c, 'link.other', 'Patient', 32, n + 1), type: 'seealso' }],
    })),
    ...all('Practitioner', (n, c) => ({
      identifier: identifier(c, n), active: true, name: [name(c)], telecom: telecom(c), address: [address(c)], gender: 'other',
      birthDate: '1970-01-02', photo: [{ title: c('photo.title') }],
      qualification: [{ code: coding(c, 'qualification.code', c('qualification.code.coding.code')) }],
    })),
    ...all('PractitionerRole', (n, c) => ({
      identifier: identifier(c, n), active: true, period: period(c, 'period', n), practitioner: ref(c, 'practitioner', 'Practitioner', 7, n),
      organization: ref(c, 'organization', 'Organization', 3, n), code: [coding(c, 'code', c('code.coding.code'))],
      specialty: [coding(c, 'specialty', c('specialty.coding.code'))], location: [ref(c, 'location', 'Location', 4, n)],
      telecom: telecom(c), availabilityExceptions: c('availabilityExceptions'), notAvailable: [{ description: c('notAvailable.description') }],
    })),
    ...all('Organization', (n, c) => ({
      identifier: identifier(c, n), active: true, type: [coding(c, 'type', c('type.coding.code'))], name: c('name'), alias: [c('alias')],
      telecom: telecom(c), address: [address(c)], partOf: ref(c, 'partOf', 'Organization', 3, n + 1),
      contact: [{ name: { text: c('contact.name.text') } }],
    })),
    ...all('Location', (n, c) => ({
      identifier: identifier(c, n), status: 'active', name: c('name'), alias: [c('alias')], description: c('description'), mode: 'instance',
      telecom: telecom(c), address: address(c), position: { longitude: 10.25, latitude: 53.5 },
      managingOrganization: ref(c, 'managingOrganization', 'Organization', 3, n), partOf: ref(c, 'partOf', 'Location', 4, n + 1),
      hoursOfOperation: [{ allDay: true }], availabilityExceptions: c('availabilityExceptions'),
    })),
    ...all('Schedule', (n, c) => ({
      identifier: identifier(c, n), active: true, serviceCategory: [coding(c, 'serviceCategory', c('serviceCategory.coding.code'))],
      serviceType: [coding(c, 'serviceType', c('serviceType.coding.code'))], specialty: [coding(c, 'specialty', c('specialty.coding.code'))],
      actor: [ref(c, 'actor', 'Practitioner', 7, n)], planningHorizon: period(c, 'planningHorizon', n), comment: c('comment'),
    })),
    ...all('Slot', (n, c) => ({
      identifier: identifier(c, n), serviceType: [coding(c, 'serviceType', c('serviceType.coding.code'))],
      specialty: [coding(c, 'specialty', c('specialty.coding.code'))], appointmentType: coding(c, 'appointmentType', c('appointmentType.coding.code')),
      schedule: ref(c, 'schedule', 'Schedule', 7, n), status: n % 2 ? 'free' : 'busy', start: moment(n), end: moment(n + 1),
      overbooked: false, comment: c('comment'),
    })),
    ...all('Appointment', (n, c) => ({
      identifier: identifier(c, n), status: 'booked', serviceType: [coding(c, 'serviceType', c('serviceType.coding.code'))],
      specialty: [coding(c, 'specialty', c('specialty.coding.code'))],
      appointmentType: coding(c, 'appointmentType', c('appointmentType.coding.code'), c('appointmentType.coding.system')),
      reasonCode: [coding(c, 'reasonCode', c('reasonCode.coding.code'))], reasonReference: [ref(c, 'reasonReference', 'Condition', 9, n)],
      priority: 3, description: c('description'), supportingInformation: [ref(c, 'supportingInformation', 'Observation', 9, n)],
      start: moment(n), end: moment(n + 1), minutesDuration: 20, created: '2030-12-01', comment: c('comment'),
      patientInstruction: c('patientInstruction'), slot: [ref(c, 'slot', 'Slot', 45, n)], basedOn: [ref(c, 'basedOn', 'ServiceRequest', 23, n)],
      participant: [
        { actor: ref(c, 'participant.actor', 'Patient', 32, n), required: 'required', status: 'accepted', period: { start: moment(n) } },
        {
          actor: ref(c, 'participant.actor', 'Practitioner', 7, n), type: [coding(c, 'participant.type', c('participant.type.coding.code'))],
          required: 'required', status: 'accepted', extension: [{ url: 'http://example.org/x', valueString: c('participant.extension') }],
        },
        { actor: ref(c, 'participant.actor', 'Location', 4, n), status: 'accepted' },
        { actor: { reference: `rawid-not-a-reference-${n}`, display: c('participant.actor.display') }, status: 'accepted' },
        { actor: { reference: `#rawid-contained-${n}`, display: c('participant.actor.display') }, status: 'accepted' },
      ],
      requestedPeriod: [{ start: moment(n) }],
    })),
    ...all('Encounter', (n, c) => ({
      identifier: identifier(c, n), status: 'finished', statusHistory: [{ status: 'planned', period: { start: moment(n) } }],
      class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB', display: c('class.display') },
      type: [coding(c, 'type', c('type.coding.code'))], serviceType: coding(c, 'serviceType', c('serviceType.coding.code')),
      subject: ref(c, 'subject', 'Patient', 32, n), participant: [{ type: [coding(c, 'participant.type', 'ATND')], individual: ref(c, 'participant.individual', 'Practitioner', 7, n) }],
      appointment: [ref(c, 'appointment', 'Appointment', 67, n)], period: period(c, 'period', n),
      reasonCode: [coding(c, 'reasonCode', c('reasonCode.coding.code'))], diagnosis: [{ condition: ref(c, 'diagnosis.condition', 'Condition', 9, n), rank: 1 }],
      hospitalization: { dischargeDisposition: coding(c, 'hospitalization.dischargeDisposition', c('hospitalization.dischargeDisposition.coding.code')) },
      location: [{ location: ref(c, 'location.location', 'Location', 4, n), status: 'active' }], serviceProvider: ref(c, 'serviceProvider', 'Organization', 3, n),
    })),
    ...all('Coverage', (n, c) => ({
      identifier: identifier(c, n), status: 'active', type: coding(c, 'type', c('type.coding.code')), policyHolder: ref(c, 'policyHolder', 'Patient', 32, n),
      subscriber: ref(c, 'subscriber', 'Patient', 32, n), subscriberId: c('subscriberId'), beneficiary: ref(c, 'beneficiary', 'Patient', 32, n),
      dependent: c('dependent'), relationship: coding(c, 'relationship', c('relationship.coding.code')), period: period(c, 'period', n),
      payor: [ref(c, 'payor', 'Organization', 3, n)], class: [{ type: coding(c, 'class.type', 'group'), value: c('class.value'), name: c('class.name') }],
      order: 1, network: c('network'), costToBeneficiary: [{ valueMoney: { value: 12.50, currency: 'EUR' } }],
    })),
    ...all('Task', (n, c) => ({
      identifier: identifier(c, n), status: 'requested', statusReason: { text: c('statusReason.text') }, intent: 'order', priority: 'routine',
      code: coding(c, 'code', c('code.coding.code')), description: c('description'), focus: ref(c, 'focus', 'Condition', 9, n),
      for: ref(c, 'for', 'Patient', 32, n), encounter: ref(c, 'encounter', 'Encounter', 23, n), executionPeriod: period(c, 'executionPeriod', n),
      authoredOn: moment(n), lastModified: moment(n + 1), requester: ref(c, 'requester', 'Practitioner', 7, n), owner: ref(c, 'owner', 'Practitioner', 7, n + 1),
      basedOn: [ref(c, 'basedOn', 'ServiceRequest', 23, n)], reasonCode: coding(c, 'reasonCode', c('reasonCode.coding.code')), note: note(c),
      input: [{ type: { text: c('input.type.text') }, valueString: c('input.valueString') }],
      output: [{ type: { text: c('output.type.text') }, valueString: c('output.valueString') }],
    })),
    ...all('Communication', (n, c) => ({
      identifier: identifier(c, n), status: 'completed', category: [coding(c, 'category', c('category.coding.code'))],
      medium: [coding(c, 'medium', c('medium.coding.code'))], subject: ref(c, 'subject', 'Patient', 32, n), topic: { text: c('topic.text') },
      about: [ref(c, 'about', 'Condition', 9, n)], encounter: ref(c, 'encounter', 'Encounter', 23, n), basedOn: [ref(c, 'basedOn', 'ServiceRequest', 23, n)],
      sent: moment(n), received: moment(n + 1), recipient: [ref(c, 'recipient', 'Patient', 32, n)], sender: ref(c, 'sender', 'Organization', 3, n),
      reasonCode: [coding(c, 'reasonCode', c('reasonCode.coding.code'))], payload: [{ contentString: c('payload.contentString') }], note: note(c),
    })),
    ...all('ServiceRequest', (n, c) => ({
      identifier: identifier(c, n), status: 'active', intent: 'order', category: [coding(c, 'category', c('category.coding.code'))], priority: 'urgent',
      code: coding(c, 'code', c('code.coding.code')), orderDetail: [{ text: c('orderDetail.text') }], subject: ref(c, 'subject', 'Patient', 32, n),
      encounter: ref(c, 'encounter', 'Encounter', 23, n), ...(n % 2 ? { occurrenceDateTime: moment(n) } : { occurrencePeriod: period(c, 'occurrencePeriod', n) }),
      authoredOn: moment(n), requester: ref(c, 'requester', 'Practitioner', 7, n), performer: [ref(c, 'performer', 'Practitioner', 7, n + 1)],
      reasonCode: [coding(c, 'reasonCode', c('reasonCode.coding.code'))], reasonReference: [ref(c, 'reasonReference', 'Condition', 9, n)],
      bodySite: [coding(c, 'bodySite', c('bodySite.coding.code'))], note: note(c), patientInstruction: c('patientInstruction'),
    })),
    ...all('Observation', (n, c) => ({
      status: 'final', code: coding(c, 'code', c('code.coding.code')), subject: ref(c, 'subject', 'Patient', 32, n), effectiveDateTime: moment(n),
      valueString: c('valueString'), note: note(c),
    })),
    ...all('Condition', (n, c) => ({
      clinicalStatus: coding(c, 'clinicalStatus', 'active'), code: coding(c, 'code', c('code.coding.code')), subject: ref(c, 'subject', 'Patient', 32, n),
      note: note(c),
    })),
  ];
  return [...visible, ...restricted(visible)];
}

// restricted are copies of the first Patient and Appointment under a label that the default policy denies.
function restricted(visible) {
  return ['Patient', 'Appointment'].map((type) => {
    const copy = structuredClone(visible.find((r) => r.resourceType === type));
    copy.id = rawIDOf(type, 9001);
    copy.meta.security = [{ system: confidentiality, code: 'R' }];
    if (copy.start) {
      copy.start = moment(9001);
    }
    return copy;
  });
}

// countOf is how many resources of a type a search can find.
export const countOf = (type) => counts[type];
