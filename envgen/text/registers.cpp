// The tones of voice. One block a tone: openings, frames for the first request, frames for the
// next ones, reasons, closings; items are separated by bars. No number, no name and no enum word
// stands here, so that nothing is said that the requests do not say.
#include "base/text.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

struct ToneRow {
  const char* name;
  Habit habit;
  int typos;
  bool short_forms;
  const char *openings, *first, *next, *reasons, *closings;
};

constexpr ToneRow kRows[] = {
    {"plain", Habit::sentences, 3, false,
     "Hello.|Hello, a request for today.|A small job.|Hi, something to do.|This came in a moment "
     "ago.|Next item from my list.|Good day.",
     "please {}|{}|I would like you to {}|could you {}?|I need you to {}|what is needed: {}|the "
     "following, please: {}|will you {}?",
     "please also {}|after that, {}|then {}|also: {}|in addition, please {}|the second part: {}",
     "I am clearing my list for the week.|It should not wait until next week.|I said I would pass "
     "this on.|We want our records in order.",
     "Thank you.|Thanks.|That is everything.|That would be all.|Thanks for the help."},
    {"polite", Habit::sentences, 0, false,
     "Good morning.|Good afternoon.|Hello, I hope that you are well.|Hello, and thank you for "
     "looking at this.|Good day to you.|I hope I am not disturbing you.",
     "would you please {}?|could you kindly {}?|would you be so kind and {}?|I would be grateful "
     "if you could {}|may I ask you to {}?|if it is no trouble, please {}|I have a favour to ask: "
     "{}|here is what I would ask of you: {}",
     "may I also ask you to {}?|and if you would, please {}|I would also be glad if you could "
     "{}|my other wish is this: {}|when that is done, please {}|and a further favour: {}",
     "I would see to it myself, but I have no access.|It would be a real help to us.|I promised "
     "an answer.|I know that you are busy.",
     "Many thanks.|Thank you very much.|Thank you for your patience.|With many thanks.|I "
     "appreciate it.|Thank you in advance."},
    {"curt", Habit::sentences, 4, false,
     "Right.|Listen.|To the point.|No preamble.|New job.|Short and simple.",
     "{}|just {}|{}, nothing else|now {}|do this: {}|job: {}",
     "then {}|next: {}|also {}|and {}|after that: {}|second: {}",
     "No time for details.|It has been lying around.|Should have been done by now.|Do not ask why.",
     "Done is done.|That is it.|No more to say.|End.|Go."},
    {"formal", Habit::letter, 0, false,
     "Dear colleague,|Dear Sir or Madam,|To whom it may concern,|Dear colleagues,|Good day,|Dear "
     "service desk,|For the attention of the desk,",
     "I should be grateful if you would {}|kindly {}|you are requested to {}|I hereby ask you to "
     "{}|we kindly request the following: {}|please arrange for the following: {}|please be so "
     "good as to {}",
     "furthermore, kindly {}|in addition, you are asked to {}|we further request the following: "
     "{}|moreover, please {}|thereafter, kindly {}|additionally: {}",
     "The matter has been discussed internally.|This request is made in accordance with our usual "
     "practice.|Our files are to be complete.|Your predecessor handled such matters in the same "
     "way.",
     "Yours faithfully|Yours sincerely|With kind regards|Respectfully|With best regards"},
    {"apologetic", Habit::sentences, 3, false,
     "Sorry to bother you.|Sorry, it is me again.|I am so sorry for the short notice.|Apologies, "
     "I should have written earlier.|Forgive the interruption.|I hate to be a nuisance.",
     "I am afraid I have to ask you to {}|could I trouble you to {}?|I am sorry to ask, but please "
     "{}|if you can bear it, please {}|this is what I forgot: {}|I really should have seen to this "
     "before: {}|would it be all right to ask you to {}?",
     "and, sorry, please also {}|I am sorry to add this: {}|and could I trouble you to {} as "
     "well?|oh dear, and there is this: {}|when you have done that, please {}|and then, if I may: "
     "{}",
     "It is my own fault that it is late.|I misplaced my note about it.|I did not want to leave it "
     "to the others.|I lost track of it, frankly.",
     "Sorry again.|I owe you a coffee.|Sorry for the trouble.|I will do better next time, "
     "honestly.|Thank you for putting up with me.|Apologies once more."},
    {"chatty", Habit::sentences, 8, false,
     "Hey there!|Hi, how are things?|Well, hello!|Hey, good that I caught you.|Morning! Is it as "
     "grey at your end as it is here?|Hi again!|So, you will never guess what landed on my desk.",
     "can you {}?|could you be a star and {}?|quick thing: {}|so what I need is this: {}|I was "
     "wondering, could you {}?|long story short: {}|I just need you to {}",
     "oh, and {}|and while you are there, {}|also, before I forget: {}|then, and that is the fun "
     "part, {}|and can you {} as well?|plus this: {}",
     "I would do it myself but I am all thumbs today.|You know what it is like here.|Everybody "
     "keeps asking me about it.|I only found out over lunch.",
     "Cheers!|Thanks a bunch!|You are the best.|Talk soon!|Bye for now!|Right, back to work."},
    {"minutes", Habit::sentences, 0, false,
     "From yesterday's minutes.|Note from the morning meeting.|Extract from the minutes.|Minutes, "
     "last item.|Action item from our meeting.|Outcome of the weekly round.",
     "it was decided to {}|we agreed to {}|it was resolved to {}|open point: {}|action: {}|the "
     "meeting asks the desk to {}|decision taken: {}",
     "it was also decided to {}|further point: {}|we also agreed to {}|after that, the desk is to "
     "{}|follow-up action: {}|it was further resolved to {}",
     "Nobody objected.|The point was carried over from the last meeting.|The discussion was "
     "short.|All present agreed.",
     "Please close the point.|This concludes the item.|End of extract.|To be reported at the next "
     "meeting.|No further points."},
    {"memo", Habit::sentences, 0, false,
     "Memo to the desk.|Internal memo.|Reminder for the desk.|For the desk, today.|Memo.|Note to "
     "whoever is on duty.",
     "please see to the following: {}|to be done: {}|the desk is asked to {}|please {}|please "
     "make sure to {}|required: {}|this needs doing: {}",
     "also to be done: {}|following that, please {}|furthermore: {}|then {}|please also {}|and "
     "further: {}",
     "Background: a complaint was received.|The request comes from the floor.|This has been agreed "
     "with the office.|The shift before did not get to it.",
     "End of memo.|Please file this note.|Please initial when done.|Copy to the file.|No reply "
     "needed unless there are questions."},
    {"ticket", Habit::fields, 3, false,
     "Type: service request|Ticket opened by phone.|New ticket, normal priority.|Category: "
     "records|Reopened request.|Source: counter",
     "Request: {}|Description: {}|What is needed: {}|Task: {}|Action required: {}|Work to do: {}",
     "Further action: {}|Also needed: {}|Then: {}|Second part: {}|Follow-up: {}",
     "Impact: people are waiting.|Urgency: normal.|Channel: telephone.|Seen before: no.",
     "Close when done.|No call back needed.|Status: open|Resolution expected today.|Reporter "
     "informed."},
    {"email", Habit::letter, 3, false,
     "Hello,|Hi there,|Hello all,|Good morning,|Hi,|Subject: a request\n\nHello,|Subject: "
     "something "
     "to be done today\n\nHi,|Re: your question of this morning\n\nHello,",
     "could you please {}?|I am writing to ask you to {}|please {}|following our call, please "
     "{}|would you {}?|as discussed on the phone: {}|here is the request: {}|I would need you to "
     "{}",
     "when that is done, please {}|could you also {}?|in the same go, please {}|there is more: "
     "{}|next, please {}|the rest of it: {}",
     "I have copied nobody in, to keep it simple.|Feel free to call me if anything is odd.|I am "
     "out of the office for the rest of the day.|This follows up on a phone call.",
     "Best regards|Kind regards|All the best|Best wishes|Thanks and regards|Have a good day"},
    {"chat", Habit::chat, 14, true,
     "hey|hi|yo|hello, anyone there?|hey, got a minute?|hi again|ok so",
     "can you {}?|please {}|{}|need you to {}|quick thing, {}|could you {}?|ok here goes: {}",
     "and then {}|oh and {}|also {}|after that: {}|and {} too please|ah and this: {}",
     "kind of in a rush|nobody else is online|saw it just now|my screen is tiny, so short version",
     "thanks|thank you!|cheers|that's it|brb|thanks a lot|:)"},
    {"voice", Habit::spoken, 0, false,
     "Voice memo, typed up.|Recording, cleaned up a little.|Hello, I am leaving you a "
     "message.|Message from the answering machine.|Is this thing on? Good.|Okay, recording now.",
     "so, {}|right, {}|okay, here goes: {}|what I want is this: {}|I need you to, um, {}|well, "
     "please {}|so the thing is this: {}",
     "and then, {}|right after that, {}|and, um, {}|oh, and also: {}|then, yes, {}|and after that, "
     "please {}",
     "Hang on, there is somebody at the door. Back again.|I am walking while I talk.|Where was I? "
     "Yes.|The line is bad, I know.",
     "Over and out.|That is the message.|Okay, bye.|You know how.|I will hang up now.|Call me if "
     "the tape cuts off."},
    {"bullet", Habit::points, 0, false,
     "To do:|For today:|List for the desk:|Open items:|Please work through this:|In order:",
     "{}|please {}|first, {}|task: {}|to do: {}|start here: {}",
     "then {}|{}|next: {}|after that: {}|also: {}|please also {}",
     "context: came up this morning|context: asked for by the office|note: it is on the board as "
     "well|note: nobody has started on it",
     "end of list|tick off when done|nothing else today|rest of the list follows tomorrow|that "
     "is the list"},
    {"manager", Habit::sentences, 0, false,
     "Team,|A word about priorities.|I have been asked to move this along.|Following up on our "
     "stand-up.|I want this off the table today.|Quick steer from me.",
     "I want you to {}|please take this on: {}|let us {}|I need somebody to {}|your task for "
     "today: {}|please own this: {}|I expect you to {}",
     "once that has landed, {}|then I want you to {}|going forward from there, {}|and please also "
     "take this: {}|as a follow-up, {}|next on the agenda: {}",
     "Head office will look at the figures.|I will be asked about it upstairs.|We said that we "
     "would be quicker at this.|It is a matter of good housekeeping.",
     "I count on you.|Keep me posted.|Let us get it done.|Thanks for owning this.|My door is "
     "open.|Good work so far."},
    {"trainee", Habit::sentences, 6, false,
     "Hi, I am new here.|Hello, this is my first week.|I hope this is the right place to ask.|I "
     "was told to write to you.|Sorry, I am still learning the system.|Hello, trainee here.",
     "I was asked to {}, can you do that?|my supervisor wants us to {}|I think we have to {}|on "
     "my note it says: {}|could you {}? I am not allowed to yet|the instruction I got is this: "
     "{}|can you please {}?",
     "and afterwards I think we should {}|the note goes on: {}|and then could you {}?|and it also "
     "says: {}|then, if I read this right, {}|and the last bit: {}",
     "I do not have all the permissions.|I wrote it down word for word.|Nobody has shown me that "
     "screen yet.|I did not dare to click anything.",
     "Thank you, I am learning a lot.|I hope I put that right.|Thanks for showing me.|I will watch "
     "and learn.|Thank you so much!"},
    {"elderly", Habit::sentences, 3, false,
     "Good day, dear.|Hello, my dear.|Good morning, I hope somebody reads this.|My grandson set "
     "this computer up for me, so here I am.|I am not quick at typing, bear with me.|Hello, I used "
     "to telephone for this.",
     "would you be a dear and {}?|I should like you to {}|what I wish for is this: {}|please be so "
     "good and {}|might I ask you to {}?|my request is simple: {}|in my days we wrote a "
     "letter; now I write here: {}",
     "and if you please, {}|then, my dear, {}|and after that I should like you to {}|there is also "
     "this: {}|when you have rested from that, please {}|and my other wish: {}",
     "My glasses are somewhere, but not here.|The line at the counter was so long.|I would come by "
     "myself but for my knees.|It has been on my mind all week.",
     "God bless.|Thank you, dear.|You are very kind.|Take your time, I have plenty.|Do wrap up "
     "warm.|With warm greetings."},
    {"foreign", Habit::sentences, 0, false,
     "Hello, excuse my English.|Good day, I write with dictionary.|Hello, I am not long in this "
     "country.|Excuse me please.|Hello, I hope you understand.|Good day to all.",
     "please to do this: {}|I ask you kindly: {}|it is necessary to {}|you must please {}|I have "
     "this wish: {}|I want that you do this: {}|is it possible to {}?",
     "after, please {}|and also please {}|then it is necessary to {}|the next wish is this: {}|and "
     "second thing: {}|when ready, please {}",
     "My colleague usually writes for me.|In my language it is a short sentence.|I hope that the "
     "words are right.|I asked already at the counter, but too fast was spoken.",
     "Thank you very.|Many thanks from me.|I wait friendly for you.|Good health.|Excuse the "
     "mistakes.|Thank you for the understanding."},
    {"technical", Habit::sentences, 0, false,
     "Change request.|Ops note.|Context: production data, live records.|Runbook entry.|Hand-over "
     "from the last on-call.|Request with no side effects wanted beyond what it says.",
     "please execute the following: {}|required operation: {}|using the tools: {}|please "
     "{}|objective: {}|apply this change: {}|expected outcome of this request: {}",
     "subsequently, {}|next step: {}|once that has been committed, {}|then, as a separate step, "
     "{}|dependent step: {}|in a further call, {}",
     "No dry run is needed.|The source of truth is the live database.|Caches can be "
     "ignored.|Please "
     "keep the audit trail clean.",
     "End of request.|No rollback plan needed.|Log as usual.|Please verify the final "
     "state.|Nothing "
     "else is in scope."},
    {"worried", Habit::sentences, 4, false,
     "I am a bit uneasy about this.|Hello, I hope it is not too late.|I did not sleep well over "
     "this.|Please read this soon.|Oh dear, I nearly forgot.|I do not want anything to go wrong "
     "here.",
     "please, please {}|I would feel better if you could {}|can somebody {}?|before anything "
     "happens, please {}|what worries me is this, so please see to it: {}|could you {} for me?|it "
     "really has to be right: {}",
     "and please do not forget to {}|then, to be on the safe side, {}|and then, please, {}|what "
     "also keeps me awake: {}|and could you {}?|and this as well: {}",
     "I have a bad feeling about it.|Last time something like this was forgotten.|I keep checking "
     "my list.|People get upset over such things.",
     "Please tell me that it will be all right.|I hope this works.|Thank you, I feel better "
     "already.|Please be careful.|I will keep my fingers crossed."},
    {"cheerful", Habit::sentences, 5, false,
     "Good morning, sunshine!|Happy day!|Hello from a very good mood!|Hi, all of you!|What a "
     "lovely "
     "day!|Greetings!",
     "would you do me the pleasure and {}?|let us make somebody happy: {}|here is a nice little "
     "job: {}|please {}|today's little adventure: {}|could you {}?|time to {}!",
     "and because it is such fun, {}|then, with a smile, {}|hooray, and next: {}|and now, please "
     "{}|could you also {}?|and the cherry on top: {}",
     "Everything is going so well today.|There is cake in the kitchen.|We are nearly through the "
     "list!|The sun is out at last.",
     "Have a lovely day!|You are brilliant!|Thanks a million!|Onwards!|Smiles all round!|Hugs from "
     "the whole team!"},
    {"impatient", Habit::sentences, 6, false,
     "Again.|I have asked for this before.|Why is this still open?|I have been on hold for an "
     "age.|Can we get on with it?|Last try by message.",
     "please just {}|would somebody finally {}?|I need you to {}, and soon|{}, and no "
     "form letters please|how hard can it be: {}|for the last time: {}|once and for all, {}",
     "and then {}, without delay|and before I have to ask again: {}|then {}|directly after that, "
     "{}|and while we are waiting anyway, {}|also, and this is not hard: {}",
     "I do not have all day.|I was told that it takes a moment.|The others get it done at once.|I "
     "will not fill in another form.",
     "Well?|I am waiting.|At once, please.|Now, please.|And no excuses.|Thank you, if it happens."},
    {"telegram", Habit::wire, 0, false,
     "URGENT STOP|GREETINGS STOP|SHORT OF WORDS STOP|FROM THE ROAD STOP|LINE BAD STOP|ALL WELL "
     "STOP",
     "{}|PLEASE {}|REQUEST FOLLOWS: {}|KINDLY {}|WANTED: {}|NEED THIS: {}",
     "THEN {}|ALSO {}|NEXT: {}|AFTERWARDS {}|FURTHER: {}",
     "TRAIN LATE STOP|NO TELEPHONE HERE STOP|WEATHER FOUL STOP|BACK TOMORROW STOP",
     "THANKS STOP|REGARDS STOP|END STOP|WIRE WHEN DONE STOP|GOOD LUCK STOP"},
};

}  // namespace

const std::vector<Register>& registers() {
  static const std::vector<Register> kRegisters = [] {
    std::vector<Register> out;
    for (const ToneRow& r : kRows)
      out.push_back({r.name, r.habit, r.typos, r.short_forms, split(r.openings, '|'),
                     split(r.first, '|'), split(r.next, '|'), split(r.reasons, '|'),
                     split(r.closings, '|')});
    return out;
  }();
  return kRegisters;
}

}  // namespace seedbed::envgen
